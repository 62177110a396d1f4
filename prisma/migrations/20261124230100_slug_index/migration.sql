-- flatline: without transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS "monitors_project_id_slug_idx" ON "monitors"("project_id", "slug");
