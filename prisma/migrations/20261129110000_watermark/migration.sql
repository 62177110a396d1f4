-- Through when each replica is heard, where others reach it, and which checks are to be judged again.
ALTER TABLE "replicas" ADD COLUMN "can_spool" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN "heard_through" TIMESTAMPTZ(3),
ADD COLUMN "name" VARCHAR(100),
ADD COLUMN "address" VARCHAR(200),
ADD COLUMN "token_hash" VARCHAR(64);

ALTER TABLE "monitors" ADD COLUMN "unsettled_from" TIMESTAMPTZ(3),
ADD COLUMN "unsettled_to" TIMESTAMPTZ(3);

ALTER TABLE "flips" ADD COLUMN "unheard_replica" VARCHAR(100),
ADD COLUMN "unheard_from" TIMESTAMPTZ(3);
