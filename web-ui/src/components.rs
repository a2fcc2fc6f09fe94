//! What the pages share: pieces that draw and know no page.

pub mod help;
pub mod login;
pub mod theme;
