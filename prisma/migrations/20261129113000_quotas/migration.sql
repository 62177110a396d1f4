ALTER TABLE "projects" ADD COLUMN     "quota" JSONB;

CREATE TABLE "provisioning_counts" (
    "project_id" UUID NOT NULL,
    "hour_at" TIMESTAMPTZ(3) NOT NULL,
    "created" INTEGER NOT NULL,

    CONSTRAINT "provisioning_counts_pkey" PRIMARY KEY ("project_id")
);

ALTER TABLE "provisioning_counts" ADD CONSTRAINT "provisioning_counts_project_id_fkey" FOREIGN KEY ("project_id") REFERENCES "projects"("id") ON DELETE CASCADE ON UPDATE CASCADE;
