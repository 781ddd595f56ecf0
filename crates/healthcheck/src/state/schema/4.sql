-- The subjects of an incident, each by itself: what is kept of a death is as much in the thousandth as in the first. They
-- stand in the order in which they joined.
CREATE TABLE incident_members (
    incident INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (incident, kind, name)
) WITHOUT ROWID;

INSERT OR IGNORE INTO incident_members (incident, kind, name, place, record)
    SELECT id, record ->> '$.subject.kind', record ->> '$.subject.name', place, record
    FROM (
        SELECT incidents.id AS id, member.key AS place, iif(member.type = 'object', member.value, '{}') AS record
        FROM incidents, json_each(iif(json_valid(incidents.record), incidents.record, '{}'), '$.members') AS member
    )
    WHERE json_type(record, '$.subject.kind') = 'text' AND json_type(record, '$.subject.name') = 'text';
UPDATE incidents SET record = json_set(record, '$.members', json_array()) WHERE json_valid(record);

CREATE TRIGGER incident_members_go AFTER DELETE ON incidents BEGIN
    DELETE FROM incident_members WHERE incident = old.id;
END;
