-- Numbers of cells shrink little and are read once: packing them costs more than the room.
ALTER TABLE touched ALTER COLUMN cells SET STORAGE EXTERNAL;
