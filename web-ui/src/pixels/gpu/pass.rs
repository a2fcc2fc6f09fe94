//! One shader, run once over every place of a rectangle.

use wgpu::{Buffer, CommandEncoder, ComputePipeline, Device};

/// Places on each side of a workgroup: the shaders say `@workgroup_size(16, 16)`.
const GROUP_SIDE: u32 = 16;

/// A compiled shader.
pub(super) struct Pass(ComputePipeline);

impl Pass {
    pub(super) fn new(device: &Device, name: &str, source: &str) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        Self(
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: None,
                module: &module,
                entry_point: None,
                compilation_options: Default::default(),
                cache: None,
            }),
        )
    }

    /// Lets the shader run; `buffers` are its bindings 0, 1, ….
    pub(super) fn run(
        &self,
        device: &Device,
        encoder: &mut CommandEncoder,
        buffers: &[&Buffer],
        [width, height]: [u32; 2],
    ) {
        let bindings = buffers.iter().enumerate();
        let entries: Vec<_> = bindings
            .map(|(idx, buffer)| wgpu::BindGroupEntry {
                binding: idx as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.0.get_bind_group_layout(0),
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.0);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(width.div_ceil(GROUP_SIDE), height.div_ceil(GROUP_SIDE), 1);
    }
}
