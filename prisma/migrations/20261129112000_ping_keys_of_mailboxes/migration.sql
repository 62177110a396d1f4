-- A ping key with capitals is found by mail, too, where a mail server has written the mailbox without them.
ALTER TABLE "project_keys" ADD COLUMN "mailbox_hash" BYTEA;

CREATE INDEX "project_keys_mailbox_hash_idx" ON "project_keys"("mailbox_hash");
