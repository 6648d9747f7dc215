"""Looking at whole tables: what is stored, and whether anything was written."""

from services.chassis.postgres import Pool


async def everything_stored(pool: Pool) -> str:
    """Every row of every table of the pool's schema as text, byte columns by their letters and in hex."""
    texts: list[str] = []
    for table in await _tables(pool):
        for row in await pool.fetch(f'SELECT * FROM "{table}"'):
            texts += [f"{v.decode('latin-1')} {v.hex()}" if isinstance(v, bytes) else str(v) for v in row.values()]
    return "\n".join(texts)


async def footprint(pool: Pool) -> dict[str, list[str]]:
    """Every row of every table with the transaction that wrote it: equal before and after means nothing was written."""
    return {
        table: [str(tuple(r.values())) for r in await pool.fetch(f'SELECT xmin, ctid, t.* FROM "{table}" AS t')]
        for table in await _tables(pool)
    }


async def _tables(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")
    return [r["tablename"] for r in rows]
