-- The templates that an account marked as its favourites, its own and public ones; `folded` is the
-- name in lower case.
CREATE TABLE oos_favorites (
    account TEXT NOT NULL,
    folded TEXT NOT NULL,
    PRIMARY KEY (account, folded)
);
