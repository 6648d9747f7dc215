-- Who was looked at for a partner and not shown: a cell is looked at again when enough others have changed.
CREATE TABLE partner_tried (
    partner     text NOT NULL REFERENCES partner,
    response_id uuid NOT NULL,
    is_last     boolean NOT NULL, -- whether a settled window was looked at once more, without others
    PRIMARY KEY (partner, response_id)
);
