-- What is known of a machine. `status` is `online`, `offline`, `stopped` or `unknown`; nothing is known where it is NULL.
ALTER TABLE machines ADD COLUMN id TEXT;
ALTER TABLE machines ADD COLUMN hostname TEXT;
ALTER TABLE machines ADD COLUMN description TEXT;
ALTER TABLE machines ADD COLUMN status TEXT;
UPDATE machines SET id = name;
