-- Until when a destination has asked to be left alone, by all replicas together.
ALTER TABLE "channels" ADD COLUMN     "rests_until" TIMESTAMPTZ(3);
