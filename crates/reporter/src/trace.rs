//! A tracing layer: ERROR events become recorded errors.

use crate::Reporter;
use crate::mask::mask;
use crate::report::MAX_MESSAGE_BYTES;
use crate::shared::Shared;
use std::fmt::{self, Write};
use std::sync::{Arc, Weak};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Records each ERROR event as an error of the service, its message only unless fields are asked for; the
/// credentials in URLs are masked, and nothing is longer than 1,024 bytes.
///
/// ```
/// use health_reporter::{Reporter, Status};
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let dir = tempfile::tempdir().unwrap();
/// let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
/// let subscriber = tracing_subscriber::registry().with(health.tracing_layer());
/// tracing::subscriber::with_default(subscriber, || tracing::error!("the lens cap is on"));
/// assert_eq!(health.overall_status(), Status::Error);
/// ```
#[derive(Debug, Clone)]
pub struct HealthLayer {
    shared: Weak<Shared>,
    with_fields: bool,
}

impl Reporter {
    /// The layer for this reporter; it does not keep the reporter alive.
    #[must_use]
    pub fn tracing_layer(&self) -> HealthLayer {
        HealthLayer { shared: Arc::downgrade(&self.shared), with_fields: false }
    }
}

impl HealthLayer {
    /// Records the fields of events as well. They may hold what nobody should read.
    #[must_use]
    pub const fn with_fields(mut self) -> Self {
        self.with_fields = true;
        self
    }
}

impl<S: Subscriber> Layer<S> for HealthLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // Recording emits no events, so there is nothing to go round in circles.
        if *event.metadata().level() != Level::ERROR {
            return;
        }
        let Some(shared) = self.shared.upgrade() else { return };
        let mut text =
            Text { message: Bounded::default(), fields: Bounded::default(), with_fields: self.with_fields };
        event.record(&mut text);
        shared.record_error(&text.finish(event.metadata().target()), false);
    }
}

struct Text {
    message: Bounded,
    fields: Bounded,
    with_fields: bool,
}

impl Text {
    fn finish(self, target: &str) -> String {
        if self.message.text.is_empty() {
            return format!("error in {target}") + &self.fields.masked();
        }
        self.message.masked() + &self.fields.masked()
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A full buffer is the only failure, and it is what the buffer is for.
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else if self.with_fields {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}

/// Takes as much text as an error may have; a value that writes without end is stopped.
#[derive(Default)]
struct Bounded {
    text: String,
    is_cut: bool,
}

impl Bounded {
    fn masked(&self) -> String {
        mask(&self.text, self.is_cut)
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_MESSAGE_BYTES.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        self.is_cut |= text.len() > room;
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}
