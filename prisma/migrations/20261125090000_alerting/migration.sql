-- AlterTable
ALTER TABLE "deliveries" ADD COLUMN     "lease_until" TIMESTAMPTZ(3),
ADD COLUMN     "notice" JSONB,
ADD COLUMN     "resent_at" TIMESTAMPTZ(3),
ALTER COLUMN "event" SET DATA TYPE VARCHAR(16);
