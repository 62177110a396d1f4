-- CreateTable
CREATE TABLE "service_alerts" (
    "id" SERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "node" VARCHAR(100) NOT NULL,
    "rule" VARCHAR(30) NOT NULL,
    "level" VARCHAR(8) NOT NULL,
    "text" VARCHAR(500) NOT NULL,

    CONSTRAINT "service_alerts_pkey" PRIMARY KEY ("id")
);
