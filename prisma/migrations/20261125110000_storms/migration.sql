-- AlterTable
ALTER TABLE "deliveries" ADD COLUMN     "group_id" UUID;

-- By hand: what Prisma cannot express (see test/database/schema.test.ts)

-- Alerts that go out in one message.
CREATE INDEX "deliveries_group_idx" ON "deliveries"("group_id") WHERE "group_id" IS NOT NULL;
