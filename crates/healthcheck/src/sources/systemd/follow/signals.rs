//! What systemd says without being asked.

use super::super::{MANAGER, MANAGER_INTERFACE, Manager, PROPERTIES, SYSTEMD, Trouble};
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;
use zbus::export::futures_core::Stream;
use zbus::message::{Message, Type};
use zbus::{Connection, MessageStream, OwnedObjectPath, Variant};

const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";
const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
/// Which signals the bus passes on. Those of jobs and of other objects are not among them.
const RULES: [&str; 5] = [
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',\
     arg0='org.freedesktop.systemd1'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',\
     member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
     member='UnitNew'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
     member='UnitRemoved'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
     member='Reloading'",
];

/// What was said.
#[derive(Debug)]
pub(super) enum Signal {
    /// The unit at the object path that ends in this label is another, or is loaded, or is so no more.
    Unit { label: String, message: Message },
    /// All unit files were read anew.
    Reloaded,
    /// The name on the bus is no longer the one that was asked.
    Left,
}

/// The signals of a manager, from now on.
#[derive(Debug)]
pub(super) struct Signals {
    stream: MessageStream,
    /// By which name the bus knows systemd: others may send us what looks like its signals.
    owner: Option<String>,
}

impl Signals {
    /// Subscribes to everything that concerns units.
    pub(super) async fn of(manager: &Manager, patience: Duration) -> Result<Self, Trouble> {
        // A bus that has just begun lets this wait until systemd is there.
        manager.ping(patience).await?;
        let mut signals = Self { stream: MessageStream::from(&manager.connection), owner: None };
        let subscribed = timeout(patience, signals.during(subscribe(manager, patience))).await;
        signals.owner = subscribed.unwrap_or(Err(Trouble::Silent))?;
        Ok(signals)
    }

    /// The next one; nothing where the connection is over.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Signal>> {
        loop {
            let Some(Ok(message)) = ready!(Pin::new(&mut self.stream).poll_next(context)) else {
                return Poll::Ready(None);
            };
            if let Some(signal) = self.read(&message) {
                return Poll::Ready(Some(signal));
            }
        }
    }

    /// Does it while nothing is left to queue up, behind which its answers would wait.
    async fn during<T>(&mut self, doing: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        let mut doing = pin!(doing);
        let gone = || Trouble::Broken(zbus::Error::Failure("it went away".to_owned()));
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = doing.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            while let Poll::Ready(signal) = self.poll(context) {
                if matches!(signal, None | Some(Signal::Left)) {
                    return Poll::Ready(Err(gone()));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn read(&self, message: &Message) -> Option<Signal> {
        if message.message_type() != Type::Signal {
            return None;
        }
        let header = message.header();
        let sender = header.sender().map_or("", |sender| sender.as_str());
        let (interface, member) = (header.interface()?.as_str(), header.member()?.as_str());
        if sender == BUS {
            return has_left(message, member).then_some(Signal::Left);
        }
        if self.owner.as_ref().is_some_and(|owner| owner != sender) {
            return None;
        }
        match (interface, member) {
            (PROPERTIES, "PropertiesChanged") => of_unit(header.path()?.as_str(), message),
            (MANAGER_INTERFACE, "UnitNew" | "UnitRemoved") => of_unit(&named_path(message)?, message),
            // It is told twice: when it begins, and when it is over.
            (MANAGER_INTERFACE, "Reloading") => {
                message.body().deserialize().is_ok_and(|begins: bool| !begins).then_some(Signal::Reloaded)
            }
            _ => None,
        }
    }
}

async fn subscribe(manager: &Manager, patience: Duration) -> Result<Option<String>, Trouble> {
    let is_bus = manager.destination.is_some();
    let owner = if is_bus { Some(listen(&manager.connection).await?) } else { None };
    match manager.call(MANAGER, MANAGER_INTERFACE, "Subscribe", &(), patience).await {
        // On its own socket it tells everybody everything, and may call this a mistake.
        Err(Trouble::Refused(_)) if !is_bus => Ok(owner),
        done => done.map(|_| owner),
    }
}

/// Lets the bus pass on the signals of systemd, and returns by which name it knows it.
async fn listen(connection: &Connection) -> Result<String, Trouble> {
    for rule in RULES {
        connection.call_method(Some(BUS), BUS_PATH, Some(BUS), "AddMatch", &rule).await?;
    }
    let reply = connection.call_method(Some(BUS), BUS_PATH, Some(BUS), "GetNameOwner", &SYSTEMD).await?;
    reply.body().deserialize().map_err(|_| Trouble::Nonsense)
}

fn has_left(message: &Message, member: &str) -> bool {
    let body = message.body();
    let named = body.deserialize::<(&str, &str, &str)>();
    member == "NameOwnerChanged" && named.is_ok_and(|(name, ..)| name == SYSTEMD)
}

fn of_unit(path: &str, message: &Message) -> Option<Signal> {
    let label = path.strip_prefix(MANAGER)?.strip_prefix("/unit/")?;
    Some(Signal::Unit { label: label.to_owned(), message: message.clone() })
}

fn named_path(message: &Message) -> Option<String> {
    let body = message.body();
    let (_, path): (&str, OwnedObjectPath) = body.deserialize().ok()?;
    Some(path.to_string())
}

/// Whether what changed is that the unit is in trouble.
pub(super) fn shows_trouble(message: &Message) -> bool {
    let body = message.body();
    let changed = body.deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>();
    let Ok((UNIT_INTERFACE, properties, _)) = changed else { return false };
    let word = |key| match properties.get(key) {
        Some(Variant::Str(word)) => word.as_str(),
        _ => "",
    };
    super::super::is_trouble(word("ActiveState"), word("SubState"))
}
