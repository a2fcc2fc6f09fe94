//! What the pages share: pieces that draw and know no page.

pub mod copy;
pub mod field;
pub mod download;
pub mod help;
pub mod image_pair;
pub mod live_grid;
pub mod login;
pub mod reproduce;
pub mod plan_grid;
pub mod theme;
pub mod worker_badge;
pub mod worker_needed;
