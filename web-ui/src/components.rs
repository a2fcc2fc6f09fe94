//! What the pages share: pieces that draw and know no page.

pub mod copy;
pub mod download;
pub mod field;
pub mod help;
pub mod image_pair;
pub mod login;
pub mod plan_grid;
pub mod reproduce;
pub mod theme;
pub mod worker_badge;
pub mod worker_needed;
