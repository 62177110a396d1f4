-- CreateTable
CREATE TABLE "provisioning_namespace" (
    "id" INTEGER NOT NULL,
    "namespace" UUID NOT NULL,

    CONSTRAINT "provisioning_namespace_pkey" PRIMARY KEY ("id")
);

INSERT INTO "provisioning_namespace" ("id", "namespace") VALUES (1, gen_random_uuid());
