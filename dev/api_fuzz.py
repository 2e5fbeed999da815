"""Owns what dev/api-fuzz knows of Vez: logging in, making one object of each kind, and putting their ids into half of the
generated requests, so that not every one of them ends at "not found". It judges no answer.

As a program: `api_fuzz.py world DEMO_JSON ROLE WORLD_JSON` makes the objects (once), and prints a token of the role.
As hooks of schemathesis: see `map_path_parameters`.
"""

import json
import os
import sys
import urllib.request
import zlib


def ask(base, method, path, body=None, token=None):
    """One request; the answer's JSON."""
    request = urllib.request.Request(base + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def log_in(demo, role):
    """An access token of a user of `role`."""
    user = next(user for user in demo["users"] if user["role"] == role)
    body = {"email": user["email"], "password": user["password"], "tenant": demo["tenant"]}
    return ask(demo["base_url"], "POST", "/api/auth/login", body)["data"]["access_token"]


def make_world(demo):
    """Ids by the word that stands before them in paths."""
    base, token = demo["base_url"], log_in(demo, "manager")
    department = demo["departments"][0]["id"]
    call = ask(base, "POST", f"/api/v1/call/{demo['links'][0]['token']}/join", {"name": "Maria", "email": "maria@example.com"})
    customers = ask(base, "GET", "/api/v1/customers", token=token)["data"]

    def made(path, body):
        return ask(base, "POST", path, body, token)["data"]["id"]

    return {
        "departments": department,
        "users": next(user["id"] for user in demo["users"] if user["role"] == "attendant"),
        "calls": call["data"]["call_id"],
        "status": call["data"]["call_id"],
        "evaluate": call["data"]["call_id"],
        "call": demo["links"][0]["token"],
        "customers": customers[0]["id"],
        "sectors": made("/api/v1/sectors", {"name": "Vendas"}),
        "tags": made("/api/v1/tags", {"name": "vip"}),
        "providers": made("/api/v1/providers", {"name": "Clínica"}),
        "webhooks": made("/api/v1/webhooks", {"url": "https://example.com/hook", "events": ["call.created"]}),
        "api-tokens": made("/api/v1/api-tokens", {"name": "fuzz", "role": "attendant"}),
        "access-links": made("/api/v1/access-links", {"department_id": department}),
        "appointments": made("/api/v1/appointments", {
            "title": "Return", "scheduled_at": "2099-01-01T10:00:00Z", "department_id": department,
            "customer_name": "Roberto", "customer_email": "roberto@example.com"}),
    }


def main():
    _, _, demo_path, role, world_path = sys.argv
    with open(demo_path, encoding="utf-8") as file:
        demo = json.load(file)
    if not os.path.exists(world_path):
        with open(world_path, "w", encoding="utf-8") as file:
            json.dump(make_world(demo), file)
    print("" if role == "anonymous" else log_in(demo, role))


if __name__ == "__main__":
    main()
else:
    import schemathesis

    with open(os.environ["VEZ_FUZZ_WORLD"], encoding="utf-8") as world_file:
        WORLD = json.load(world_file)

    @schemathesis.hook
    def map_path_parameters(context, path_parameters):
        """Half of the time, ids of things that are there."""
        # By the values themselves, so that the same case is the same again.
        if not path_parameters or zlib.crc32(repr(sorted(path_parameters.items())).encode()) % 2:
            return path_parameters
        kind = ""
        for part in context.operation.path.split("/"):
            if part.startswith("{"):
                if kind in WORLD:
                    path_parameters[part[1:-1]] = WORLD[kind]
            else:
                kind = part
        return path_parameters
