-- What is known of a machine. `status` is `online`, `offline`, `stopped` or `unknown`; nothing is known where it is NULL.
ALTER TABLE machines
    ADD COLUMN IF NOT EXISTS id TEXT,
    ADD COLUMN IF NOT EXISTS hostname TEXT,
    ADD COLUMN IF NOT EXISTS description TEXT,
    ADD COLUMN IF NOT EXISTS status TEXT;
UPDATE machines SET id = name WHERE id IS NULL;
