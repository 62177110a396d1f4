-- How much more a destination takes now, for all replicas together. Null is its whole burst.
ALTER TABLE "channels" ADD COLUMN     "pace_at" TIMESTAMPTZ(3),
ADD COLUMN     "pace_left" DOUBLE PRECISION;
