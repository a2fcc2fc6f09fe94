//! Making pictures: what a person asks for, and what came of it. Values only; the page
//! that draws them is `pages::generate`.
//!
//! - [`form`]: the form as typed, and the request that it stands for.
//! - [`outcome`]: the pictures and numbers of a job, ready to be shown.

pub mod form;
pub mod outcome;
