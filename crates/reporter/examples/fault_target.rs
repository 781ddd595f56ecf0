//! A service that does what it is told, to be killed, starved and forked by the tests: one command a line on its
//! standard input, one answer a line on its standard output. `fault_target DIR [service=NAME] [interval_ms=N]
//! [deadline_ms=N] [signals] [starting] [run]`; the commands are the arms of the `match`es below.
#![expect(clippy::print_stdout, reason = "its standard output is how it answers")]

use health_reporter::{FlushError, LoopHandle, Reporter, Status};
use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};
use tracing_subscriber::layer::SubscriberExt;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (dir, words) = arguments.split_first().ok_or("usage: fault_target DIR [word…]")?;
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let has = |word: &str| words.iter().any(|other| other == word);
    let mut builder = Reporter::builder(value("service").unwrap_or("camera")).dir(dir);
    if let Some(interval) = value("interval_ms") {
        builder = builder.interval(Duration::from_millis(interval.parse()?));
    }
    if let Some(deadline) = value("deadline_ms") {
        builder = builder.deadline(Duration::from_millis(deadline.parse()?));
    }
    if has("signals") {
        builder = builder.stop_on_signals();
    }
    if has("starting") {
        builder = builder.starting();
    }
    if has("run") {
        return builder.run(|health| Target::new(health.clone()).serve());
    }
    Target::new(builder.start()?).serve()
}

struct Target {
    health: Reporter,
    loops: HashMap<String, LoopHandle>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// The first word of `text` and the rest.
fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

impl Target {
    fn new(health: Reporter) -> Self {
        Self { health, loops: HashMap::new(), runtime: None }
    }

    fn serve(mut self) -> Outcome<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let (command, rest) = split(&line);
            if command == "return" {
                return Ok(());
            }
            if command == "fail" {
                return Err(rest.into());
            }
            println!("{}", self.obey(command, rest)?);
        }
        Ok(())
    }

    fn obey(&mut self, command: &str, rest: &str) -> Outcome<String> {
        if let Some(answer) = self.say(command, rest)? {
            return Ok(answer);
        }
        if let Some(answer) = self.work(command, rest)? {
            return Ok(answer);
        }
        self.end(command, rest)
    }

    /// What the service says of itself.
    fn say(&mut self, command: &str, rest: &str) -> Outcome<Option<String>> {
        let health = &self.health;
        match command {
            "record" => {
                let (name, rest) = split(rest);
                let (status, message) = split(rest);
                health.record(name, status.parse()?, message);
            }
            "error" => health.record_error(rest),
            "fatal" => health.record_fatal(rest),
            "recover" => health.recover(),
            "task" => health.set_current_task(rest),
            "ready" => health.ready(),
            "watch" => {
                let (name, limit) = split(rest);
                let watched = health.watched_loop(name, Duration::from_millis(limit.parse()?));
                self.loops.insert(name.to_owned(), watched);
            }
            "beat" => self.loops.get(rest).ok_or("no such loop")?.beat(),
            "status" => return Ok(Some(health.overall_status().to_string())),
            "last_error" => {
                return Ok(Some(health.last_error().map_or("none".into(), |error| error.message)));
            }
            "failures" => return Ok(Some(health.write_failures().to_string())),
            "flush" => return Ok(Some(flush(health))),
            _ => return Ok(None),
        }
        Ok(Some("ok".to_owned()))
    }

    /// What the service does, at the pace that is asked for.
    fn work(&mut self, command: &str, rest: &str) -> Outcome<Option<String>> {
        match command {
            "writes" => Ok(Some(self.writes(rest.parse()?))),
            "write_forever" => self.write_forever(),
            "busy" => {
                let health = self.health.clone();
                std::thread::spawn(move || -> () { Self::new(health).write_forever() });
                Ok(Some("ok".to_owned()))
            }
            "calls" => Ok(Some(self.calls(rest.parse()?))),
            "chatter" => Ok(Some(self.chatter(rest.parse()?))),
            "flood" => Ok(Some(self.flood(rest.parse()?))),
            "trace" => Ok(Some(self.trace(rest))),
            "runtime" => self.watch_runtime(rest.parse()?).map(Some),
            "block" => {
                let (runtime, pause) = (self.runtime.as_ref().ok_or("no runtime")?, rest.parse()?);
                runtime.spawn(async move { std::thread::sleep(Duration::from_millis(pause)) });
                Ok(Some("ok".to_owned()))
            }
            "fork" => Ok(Some(self.fork(rest.parse()?))),
            _ => Ok(None),
        }
    }

    /// How the service ends.
    fn end(&mut self, command: &str, rest: &str) -> Outcome<String> {
        let started = Instant::now();
        match command {
            "stop" => self.health.stop(rest),
            "finish" => self.health.finish(Duration::from_secs(rest.parse()?)),
            "exit" => std::process::exit(rest.parse()?),
            #[expect(clippy::panic, reason = "it is told to")]
            "panic" => panic!("{rest}"),
            _ => return Err(format!("unknown command: {command}").into()),
        }
        Ok(format!("ended {}", started.elapsed().as_millis()))
    }

    fn writes(&self, count: u64) -> String {
        let failed = (0..count).filter(|number| {
            self.health.set_current_task(&format!("write {number}"));
            self.health.flush().is_err()
        });
        failed.count().to_string()
    }

    fn write_forever(&self) -> ! {
        for number in 0_u64.. {
            self.health.set_current_task(&format!("write {number}"));
            let _ = self.health.flush();
        }
        std::process::exit(0)
    }

    /// Times each of `count` calls on the hot path; answers the median, the 99th percentile and the longest.
    fn calls(&self, count: usize) -> String {
        let capture = self.health.check("capture");
        let mut took = Vec::with_capacity(count);
        for number in 0..count {
            let message = format!("frame {number}");
            let started = Instant::now();
            match number % 3 {
                0 => self.health.record("lens", [Status::Healthy, Status::Warning][number / 3 % 2], &message),
                1 => drop(capture.observe(|| Ok::<_, std::fmt::Error>(number))),
                _ => self.health.set_current_task(&message),
            }
            took.push(started.elapsed().as_nanos());
        }
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).or(took.last()).copied().unwrap_or(0);
        format!("{} {} {}", at(50), at(99), at(100))
    }

    /// A thousand records with a new message in each second.
    fn chatter(&self, seconds: u64) -> String {
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut records = 0_u64;
        while Instant::now() < until {
            records += 1;
            self.health.record("queue", Status::Healthy, &format!("{records} waiting"));
            std::thread::sleep(Duration::from_millis(1));
        }
        records.to_string()
    }

    /// Answers how many milliseconds the events took.
    fn flood(&self, events: u64) -> String {
        let subscriber = tracing_subscriber::registry().with(self.health.tracing_layer());
        let started = Instant::now();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..events {
                tracing::error!("event {number}: {}", "x".repeat(2000));
            }
        });
        started.elapsed().as_millis().to_string()
    }

    fn trace(&self, message: &str) -> String {
        let layer = self.health.tracing_layer();
        let plain = tracing_subscriber::registry().with(layer.clone());
        tracing::subscriber::with_default(plain, || {
            tracing::error!(secret = "in a field", "plain {message}");
        });
        let full = tracing_subscriber::registry().with(layer.with_fields());
        tracing::subscriber::with_default(full, || {
            tracing::error!(size = 42, "full {message}");
        });
        "ok".to_owned()
    }

    fn watch_runtime(&mut self, limit_ms: u64) -> Outcome<String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
        let entered = runtime.enter();
        drop(self.health.watch_runtime("runtime", Duration::from_millis(limit_ms)));
        drop(entered);
        self.runtime = Some(runtime);
        Ok("ok".to_owned())
    }

    /// Yields, which forks where the tests have put themselves between this program and its C library.
    fn fork(&self, times: usize) -> String {
        let parent = std::process::id();
        for _ in 0..times {
            std::thread::yield_now();
            if std::process::id() != parent {
                self.misbehave_as_a_child();
            }
        }
        format!("forked {times}")
    }

    fn misbehave_as_a_child(&self) -> ! {
        let started = Instant::now();
        self.health.record("child", Status::Fatal, "written by the child");
        self.health.set_current_task("being a child");
        self.health.record_error("of the child");
        drop(self.health.watched_loop("child", Duration::from_millis(1)));
        let flushed = self.health.flush();
        self.health.stop("the child ends");
        drop(self.health.clone());
        let answer = if flushed == Err(FlushError::Ended) { "ended" } else { "wrote" };
        println!("{answer} {}", started.elapsed().as_micros());
        std::process::exit(0)
    }
}

fn flush(health: &Reporter) -> String {
    let started = Instant::now();
    let outcome = match health.flush() {
        Ok(()) => "ok".to_owned(),
        Err(FlushError::TimedOut) => "timed out".to_owned(),
        Err(FlushError::Ended) => "ended".to_owned(),
        Err(error) => format!("failed: {error}"),
    };
    format!("{} {outcome}", started.elapsed().as_millis())
}
