-- AlterTable
ALTER TABLE "projects" ADD COLUMN     "badge_key" VARCHAR(150) NOT NULL DEFAULT gen_random_uuid(),
ADD COLUMN     "badge_secret" BYTEA NOT NULL DEFAULT uuid_send(gen_random_uuid());

-- AlterTable
ALTER TABLE "monitors" ADD COLUMN     "parent_id" UUID,
ADD COLUMN     "unique_key" VARCHAR(40);

-- CreateIndex
CREATE UNIQUE INDEX "projects_badge_key_key" ON "projects"("badge_key");

-- CreateIndex
CREATE INDEX "monitors_project_id_unique_key_idx" ON "monitors"("project_id", "unique_key");

-- CreateIndex
CREATE INDEX "monitors_badge_key_idx" ON "monitors"("badge_key");

-- By hand: what Prisma cannot express (see test/database/schema.test.ts)

-- The children of a monitor, of which most have none.
CREATE INDEX "monitors_parent_id_idx" ON "monitors"("parent_id") WHERE "parent_id" IS NOT NULL;

-- Alerts that were not sent because a parent was down: to be looked at again when it is not.
CREATE INDEX "deliveries_parent_down_idx" ON "deliveries"("monitor_id") WHERE "status" = 'suppressed' AND "last_error" = 'the parent check is down';
