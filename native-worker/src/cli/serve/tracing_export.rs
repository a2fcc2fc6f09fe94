//! Spans of the worker for an OpenTelemetry collector, over HTTP. Built in with the feature
//! `otlp`; without it, asking for it is an error that says so.

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    /// The program was built without it.
    #[cfg(not(feature = "otlp"))]
    #[error(
        "--otlp-endpoint: this dfa was built without it; build it with `cargo build --release -p dfa-native-worker --features otlp`"
    )]
    NotBuiltIn,
    /// The endpoint is no use.
    #[cfg(feature = "otlp")]
    #[error("--otlp-endpoint {endpoint}: {reason}; give a URL like http://127.0.0.1:4318")]
    Endpoint {
        /// As typed.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(not(feature = "otlp"))]
pub(super) use without::Export;

#[cfg(feature = "otlp")]
pub(super) use with::Export;

#[cfg(not(feature = "otlp"))]
mod without {
    use tracing_subscriber::layer::Identity;

    use super::ExportError;

    /// Sends nothing.
    pub(in super::super) struct Export;

    impl Export {
        pub(in super::super) fn to(endpoint: Option<&str>) -> Result<Self, ExportError> {
            match endpoint {
                Some(_) => Err(ExportError::NotBuiltIn),
                None => Ok(Self),
            }
        }

        #[expect(clippy::unused_self, reason = "the other one needs itself")]
        pub(in super::super) fn layer(&self) -> Identity {
            Identity::new()
        }
    }
}

#[cfg(feature = "otlp")]
mod with {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
    use tracing::Subscriber;
    use tracing_opentelemetry::OpenTelemetryLayer;
    use tracing_subscriber::registry::LookupSpan;

    use super::ExportError;

    /// Sends spans in batches from a thread of its own; the rest when it is dropped.
    pub(in super::super) struct Export(Option<SdkTracerProvider>);

    impl Export {
        pub(in super::super) fn to(endpoint: Option<&str>) -> Result<Self, ExportError> {
            let Some(endpoint) = endpoint else {
                return Ok(Self(None));
            };
            let wrong = |reason: String| ExportError::Endpoint {
                endpoint: endpoint.to_owned(),
                reason,
            };
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(wrong("it is no URL".into()));
            }
            let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
            let exporter = SpanExporter::builder().with_http().with_endpoint(url);
            let exporter = exporter.build().map_err(|error| wrong(error.to_string()))?;
            let resource = Resource::builder().with_service_name("dfa").build();
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(resource)
                .build();
            Ok(Self(Some(provider)))
        }

        pub(in super::super) fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, SdkTracer>>
        where
            S: Subscriber + for<'span> LookupSpan<'span>,
        {
            let provider = self.0.as_ref()?;
            Some(tracing_opentelemetry::layer().with_tracer(provider.tracer("dfa")))
        }
    }

    impl Drop for Export {
        fn drop(&mut self) {
            if let Some(provider) = &self.0 {
                // A collector that is gone must not hold the worker.
                let _ = provider.shutdown();
            }
        }
    }
}
