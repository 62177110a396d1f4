-- AlterTable
ALTER TABLE "flips" ADD COLUMN     "request_id" VARCHAR(64);

-- AlterTable
ALTER TABLE "audit" ADD COLUMN     "address" VARCHAR(45);

-- CreateIndex
CREATE INDEX "audit_at_idx" ON "audit"("at");
