-- Heartbeats of a check may have to be signed. Expands: the previous version ignores the column.
ALTER TABLE "checks" ADD COLUMN "signing_secret" BYTEA;
