-- Channels that are there already go on: their recipients have had the way to unsubscribe in each mail.
ALTER TABLE "channels" ADD COLUMN "recipient_confirmed" BOOLEAN NOT NULL DEFAULT true;

CREATE TABLE "mail_recipients" (
    "address_hash" BYTEA NOT NULL,
    "project_id" UUID NOT NULL,
    "asked_at" TIMESTAMPTZ(3) NOT NULL,
    "confirmed_at" TIMESTAMPTZ(3),

    CONSTRAINT "mail_recipients_pkey" PRIMARY KEY ("address_hash")
);

CREATE TABLE "mail_allowances" (
    "project_id" UUID NOT NULL,
    "mails_left" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "mail_allowances_pkey" PRIMARY KEY ("project_id")
);

CREATE INDEX "mail_recipients_project_id_asked_at_idx" ON "mail_recipients"("project_id", "asked_at");

ALTER TABLE "mail_recipients" ADD CONSTRAINT "mail_recipients_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "mail_allowances" ADD CONSTRAINT "mail_allowances_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;
