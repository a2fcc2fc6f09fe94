//! A forward pass whose lack of memory names sizes, wherever in the network it comes up:
//! candle's own operations (joining, broadcasting) say only that there was none.

use std::ops::Range;

use candle_core::{Result, Tensor};
use dfa_core::Block;

use crate::kernels::ops::memory::taking_like;
use crate::model::{Attend, ForwardPass};

/// Any pass, with that said. What an operation takes is most often as large as what the
/// part got.
pub(super) struct PassMemory<'a>(pub(super) Box<dyn ForwardPass + 'a>);

impl ForwardPass for PassMemory<'_> {
    fn of_samples<'a>(&self, samples: &Range<usize>) -> Result<Box<dyn ForwardPass + 'a>>
    where
        Self: 'a,
    {
        Ok(Box::new(PassMemory(self.0.of_samples(samples)?)))
    }

    fn embed(&self, latent: &Tensor) -> Result<Tensor> {
        taking_like(latent, || self.0.embed(latent))
    }

    fn block(&self, block: Block, hidden: &Tensor, attend: &mut Attend<'_>) -> Result<Tensor> {
        taking_like(hidden, || self.0.block(block, hidden, attend))
    }

    fn output(&self, hidden: &Tensor) -> Result<Tensor> {
        taking_like(hidden, || self.0.output(hidden))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Error};

    use super::*;

    /// A pass in which every operation finds no memory.
    struct Full;

    fn full<T>() -> Result<T> {
        Err(Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY)".into()))
    }

    impl ForwardPass for Full {
        fn of_samples<'a>(&self, _: &Range<usize>) -> Result<Box<dyn ForwardPass + 'a>>
        where
            Self: 'a,
        {
            Ok(Box::new(Full))
        }

        fn embed(&self, _: &Tensor) -> Result<Tensor> {
            full()
        }

        fn block(&self, _: Block, _: &Tensor, _: &mut Attend<'_>) -> Result<Tensor> {
            full()
        }

        fn output(&self, _: &Tensor) -> Result<Tensor> {
            full()
        }
    }

    #[test]
    fn a_lack_of_memory_anywhere_in_a_pass_names_the_size() {
        let hidden = Tensor::zeros((2, 1024, 1152), DType::F32, &Device::Cpu).unwrap();
        let whole = PassMemory(Box::new(Full));
        let part = whole.of_samples(&(0..1)).unwrap();
        let mut attend = |_: &_, _: &_| full();
        for result in [
            whole.embed(&hidden),
            whole.block(Block(0), &hidden, &mut attend),
            whole.output(&hidden),
            part.output(&hidden),
        ] {
            let text = result.unwrap_err().to_string();
            assert!(text.contains("9 MiB asked for"), "{text}");
        }
    }
}
