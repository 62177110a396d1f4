-- Replicas that may hold heartbeats in a spool of their own, and the last time in which nobody wrote to the database.
CREATE TABLE "replicas" (
    "id" UUID NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,
    "spools" BOOLEAN NOT NULL,

    CONSTRAINT "replicas_pkey" PRIMARY KEY ("id")
);

ALTER TABLE "acceptance" ADD COLUMN "outage_from" TIMESTAMPTZ(3),
ADD COLUMN "outage_to" TIMESTAMPTZ(3);
