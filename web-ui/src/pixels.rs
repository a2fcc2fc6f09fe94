//! Two pictures held against each other: differences and SSIM maps, the same numbers on
//! the GPU and without one.
