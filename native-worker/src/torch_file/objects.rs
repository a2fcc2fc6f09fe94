//! The names that a pickle of tensors may use, and what is made for each of them.

use super::TorchFileError;
use super::pickle::{Machine, Value, ValueId};
use super::view::{MAX_RANK, NumberType, View};

/// A name that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// `torch._utils._rebuild_tensor_v2` and its forerunner.
    Tensor,
    /// `torch._utils._rebuild_parameter`: the tensor that it is given.
    Parameter,
    /// `collections.OrderedDict`
    Dict,
    /// `torch.FloatStorage` and so on.
    Storage(NumberType),
    /// Settings beside the weights: sizes, devices, the options of a training.
    Setting,
}

impl Known {
    /// The list; nothing else is ever made.
    pub(super) fn from_name(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::Parameter),
            ("collections", "OrderedDict") => Some(Self::Dict),
            ("torch", name) => Self::from_torch(name),
            ("argparse", "Namespace") => Some(Self::Setting),
            _ => None,
        }
    }

    fn from_torch(name: &str) -> Option<Self> {
        let number = match name {
            "DoubleStorage" => NumberType::F64,
            "FloatStorage" => NumberType::F32,
            "HalfStorage" => NumberType::F16,
            "BFloat16Storage" => NumberType::Bf16,
            "LongStorage" => NumberType::Integer(8),
            "IntStorage" => NumberType::Integer(4),
            "ShortStorage" => NumberType::Integer(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => NumberType::Integer(1),
            "Size" | "device" | "float64" | "float32" | "float16" | "bfloat16" | "int64"
            | "int32" => return Some(Self::Setting),
            _ => return None,
        };
        Some(Self::Storage(number))
    }
}

impl<'a> Machine<'a> {
    /// The storage that a persistent id stands for:
    /// `('storage', type, name, device, length)`.
    pub(super) fn storage(&self, id: ValueId) -> Result<Value<'a>, TorchFileError> {
        let items = match self.tuple(id)? {
            [kind, number, name, _, len, ..] => [kind, number, name, len],
            _ => return Err(self.broken("a storage is described by too few values")),
        };
        match items.map(|id| self.value(*id)) {
            [
                Value::Text("storage"),
                Value::Known(Known::Storage(number)),
                Value::Text(name),
                Value::Int(len),
            ] if *len >= 0 => Ok(Value::Storage {
                number: *number,
                name,
                len: len.unsigned_abs(),
            }),
            _ => Err(self.broken("a storage is described by the wrong values")),
        }
    }

    /// What a known name makes of its arguments.
    pub(super) fn made(
        &self,
        known: ValueId,
        arguments: ValueId,
    ) -> Result<Value<'a>, TorchFileError> {
        let Value::Known(known) = *self.value(known) else {
            return Err(self.broken("something is called that is not a function"));
        };
        let arguments = self.tuple(arguments)?;
        match known {
            Known::Tensor => self.tensor(arguments),
            Known::Parameter => match arguments.first().map(|id| self.value(*id)) {
                Some(Value::Tensor(view)) => Ok(Value::Tensor(view.clone())),
                _ => Err(self.broken("a parameter is not made of a tensor")),
            },
            // Entries are set later.
            Known::Dict if arguments.is_empty() => Ok(Value::Dict(Vec::new())),
            Known::Dict => Err(self.broken("a dictionary is made of something")),
            Known::Setting => Ok(Value::Other),
            Known::Storage(_) => Err(self.broken("a storage is made without a place")),
        }
    }

    /// `(storage, offset, shape, strides, …)`
    fn tensor(&self, arguments: &[ValueId]) -> Result<Value<'a>, TorchFileError> {
        let [storage, offset, shape, strides, ..] = arguments else {
            return Err(self.broken("a tensor is described by too few values"));
        };
        let &Value::Storage { number, name, len } = self.value(*storage) else {
            return Err(self.broken("a tensor is not made of a storage"));
        };
        let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
        if shape.len() != strides.len() || shape.len() > MAX_RANK {
            return Err(self.broken("a tensor has as many strides as dimensions, at most 16"));
        }
        Ok(Value::Tensor(Box::new(View {
            storage: name.to_owned(),
            storage_len: len,
            number,
            offset: self.size(*offset)?,
            shape,
            strides,
        })))
    }

    fn sizes(&self, id: ValueId) -> Result<Vec<u64>, TorchFileError> {
        self.tuple(id)?.iter().map(|id| self.size(*id)).collect()
    }

    fn size(&self, id: ValueId) -> Result<u64, TorchFileError> {
        match self.value(id) {
            Value::Int(size) if *size >= 0 => Ok(size.unsigned_abs()),
            _ => Err(self.broken("a size is not a whole number from 0")),
        }
    }
}
