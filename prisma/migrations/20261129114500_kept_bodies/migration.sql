ALTER TABLE "monitors" ADD COLUMN     "body_bytes" BIGINT NOT NULL DEFAULT 0;

CREATE TABLE "body_usage" (
    "project_id" UUID NOT NULL,
    "day" DATE NOT NULL,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "body_usage_pkey" PRIMARY KEY ("project_id","day")
);
