-- Jobs that draw QR codes.
ALTER TABLE job RENAME COLUMN import TO details;  -- what it has of its file (domain/import.hpp) or its images (domain/qr_images.hpp); NULL: it makes codes
