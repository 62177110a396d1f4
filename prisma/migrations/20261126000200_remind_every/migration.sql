ALTER TABLE "monitors" ADD COLUMN     "remind_every_s" INTEGER;
