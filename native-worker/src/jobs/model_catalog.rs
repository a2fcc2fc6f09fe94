//! The models that are served: opened and hashed once, at the start. A client names one by
//! its id, never by a path.

use std::path::PathBuf;

use crate::model_folder::{FolderError, ModelFolder, ModelIdentity};

/// A model that is served.
#[derive(Clone, Debug)]
pub struct ServedModel {
    /// What its folder says.
    pub folder: ModelFolder,
    /// Hashes of its files.
    pub identity: ModelIdentity,
}

impl ServedModel {
    /// What clients call it: the name of its folder.
    pub fn id(&self) -> &str {
        &self.folder.model_id
    }
}

/// The models that are served, in the order in which they were given.
#[derive(Clone, Debug)]
pub struct ModelCatalog {
    models: Vec<ServedModel>,
}

/// Why the models cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Two folders have the same name.
    #[error("two model folders are called {0}; a model's id is its folder's name, rename one")]
    SameId(String),
    /// There is no folder.
    #[error("no model folder is given; name at least one")]
    Empty,
}

impl ModelCatalog {
    /// Opens and hashes every folder. Reads every byte of the weights.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open(folders: &[PathBuf]) -> Result<Self, CatalogError> {
        let mut models: Vec<ServedModel> = Vec::new();
        for path in folders {
            let folder = ModelFolder::open(path)?;
            if models.iter().any(|model| model.id() == folder.model_id) {
                return Err(CatalogError::SameId(folder.model_id));
            }
            let identity = folder.identity()?;
            models.push(ServedModel { folder, identity });
        }
        if models.is_empty() {
            return Err(CatalogError::Empty);
        }
        Ok(Self { models })
    }

    /// The models.
    pub fn all(&self) -> &[ServedModel] {
        &self.models
    }

    /// The model that a client calls `id`.
    pub fn get(&self, id: &str) -> Option<&ServedModel> {
        self.models.iter().find(|model| model.id() == id)
    }
}
