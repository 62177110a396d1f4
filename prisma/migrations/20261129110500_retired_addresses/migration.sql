CREATE TABLE "retired_addresses" (
    "kind" VARCHAR(13) NOT NULL,
    "value" BYTEA NOT NULL,
    "project_id" UUID NOT NULL,
    "retired_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "retired_addresses_pkey" PRIMARY KEY ("kind","value")
);

-- Checks that were deleted before this table existed, as far as the audit trail remembers them.
INSERT INTO "retired_addresses" ("kind", "value", "project_id")
SELECT DISTINCT ON (d."value") 'check', d."value", d."project_id"
FROM (
  SELECT a."id", a."project_id",
    CASE WHEN a."target" ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN uuid_send(a."target"::uuid) END AS "value"
  FROM "audit" a WHERE a."action" IN ('check.create', 'check.delete') AND a."project_id" IS NOT NULL
) d
WHERE d."value" IS NOT NULL AND NOT EXISTS (SELECT FROM "monitors" m WHERE uuid_send(m."id") = d."value")
ORDER BY d."value", d."id" DESC;
