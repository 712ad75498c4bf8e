import pytest
from isolation.routes import *
from isolation.conftest import *
@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("POST") and "data" in getattr(CASES[n],"options",{})])
async def test_nul(name, as_dora, dora):
    method, path = split(name); case=CASES[name]
    path = place(fill(path, case, dora) if isinstance(case, Foreign) else path, dora)
    data={k:"a\0b@x.test" for k in case.options["data"]}
    r = await as_dora.call(method, path, data=data)
    print(name, r.status_code)
    assert r.status_code<500
async def test_q(as_dora, dora):
    for p in ("knowledge-base?q=%00","knowledge-items?q=%00","conversations?before=0001-01-01T00:00:00%2B14:00","knowledge-base?before=x","live?last=99999999999999999999999999"):
        try:
            r = await as_dora.http.get(f"/manage/{dora.number}-{dora.slug}/{p}", headers={"cookie":f"session={as_dora.cookie}"}, timeout=2)
            print(p, r.status_code)
        except Exception as e: print(p, type(e))
async def test_login(as_dora):
    for body in ({"email":"a\0b@x.test","password":"x"},{"email":"x@x.test","password":"\0"}):
        r=await as_dora.http.post("/api/v1/auth/login",json=body); print(r.status_code,r.text)
