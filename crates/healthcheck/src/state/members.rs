//! The subjects of incidents in their table, written and read.

use super::rows::{self, Read, json, parsed, subject};
use super::schema::SCHEMA;
use healthcheck_core::alerts::{Incident, Member};
use rusqlite::{Connection, Row, params};

const PUT_MEMBER: &str =
    "INSERT INTO incident_members (incident, kind, name, place, record) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (incident, kind, name) DO UPDATE SET place = excluded.place, record = excluded.record";
const MEMBERS: &str =
    "SELECT kind, name, record FROM incident_members WHERE incident = ?1 ORDER BY place, name";

pub(super) const STATEMENTS: [&str; 2] = [PUT_MEMBER, MEMBERS];

/// The version of the schema that began to have them; until then they stood in the records of their incidents.
const SINCE: usize = 4;

pub(super) fn put(connection: &Connection, members: &[(u64, usize, &Member)]) -> rusqlite::Result<()> {
    for (incident, place, member) in members {
        let (kind, name) = (member.subject.kind.as_str(), &*member.subject.name);
        let (incident, place) = (rows::number(*incident), rows::bounded(*place));
        let mut statement = connection.prepare_cached(PUT_MEMBER)?;
        statement.execute(params![incident, kind, name, place, json(member)?])?;
    }
    Ok(())
}

/// Completes incidents that were read.
pub(super) fn complete(connection: &Connection, incidents: &mut [Incident]) -> rusqlite::Result<()> {
    if SCHEMA.version(connection).is_ok_and(|version| version < SINCE) {
        return Ok(());
    }
    for incident in incidents {
        incident.members = rows::rows(connection, MEMBERS, [rows::number(incident.id)], member)?;
    }
    Ok(())
}

/// A record that is not its key's was not written by us.
fn member(row: &Row<'_>) -> Read<Member> {
    let member: Member = parsed(row, 2)?;
    if subject(row, 0)? == member.subject { Ok(member) } else { Err("it is not what it is called".into()) }
}
