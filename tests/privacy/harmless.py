"""What looks like a secret and is none: forty kinds of text that agents read and write all day."""

# ruff: noqa: E501 -- a table: a kind a line

import base64
import json

from secret_kinds import ALNUM, B64, DIGITS, HEX, LOWER, UPPER, WORDS, some

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def words(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


def name(rng):
    return "_".join(rng.choice(WORDS) for _ in range(rng.randint(2, 6)))


HARMLESS = {
    "git commit": lambda r: f"commit {some(r, HEX, 40)}\nAuthor: A <a@b.example>\n\n    {words(r, 5)}",
    "git log": lambda r: "\n".join(f"{some(r, HEX, 7)} {words(r, 4)}" for _ in range(9)),
    "git diff": lambda r: f"index {some(r, HEX, 7)}..{some(r, HEX, 7)} 100644\n--- a/{name(r)}.py\n+++ b/{name(r)}.py\n@@ -1 +1 @@\n-x = 1\n+x = 2",
    "uuid": lambda r: f'{{"id": "{some(r, HEX, 8)}-{some(r, HEX, 4)}-4{some(r, HEX, 3)}-a{some(r, HEX, 3)}-{some(r, HEX, 12)}"}}',
    "session id": lambda r: json.dumps({"session_id": f"{some(r, HEX, 8)}-{some(r, HEX, 4)}-4abc-8abc-{some(r, HEX, 12)}", "agent_id": some(r, HEX, 9)}),
    "tool use id": lambda r: json.dumps({"tool_use_id": "toolu_01" + some(r, ALNUM, 22)}),
    "ulid": lambda r: f"event 01{some(r, CROCKFORD, 24)} stored",
    "lock file": lambda r: f'"integrity": "sha512-{some(r, B64, 86)}==",\n"resolved": "https://registry.example/{name(r)}-1.2.3.tgz"',
    "sha256 sums": lambda r: f"{some(r, HEX, 64)}  dist/{name(r)}.whl\n{some(r, HEX, 64)}  b.tar.gz",
    "requirements": lambda r: f"{name(r)}==1.2.3 \\\n    --hash=sha256:{some(r, HEX, 64)} \\\n    --hash=sha256:{some(r, HEX, 64)}",
    "go sum": lambda r: f"github.com/a/{name(r)} v1.2.3 h1:{some(r, B64, 43)}=\ngithub.com/a/b v1.2.3/go.mod h1:{some(r, B64, 43)}=",
    "cargo lock": lambda r: f'[[package]]\nname = "{name(r)}"\nversion = "1.0.{r.randint(0, 99)}"\nchecksum = "{some(r, HEX, 64)}"',
    "docker digest": lambda r: f"FROM python@sha256:{some(r, HEX, 64)}\nRUN pip install {name(r)}",
    "docker user": lambda r: f"docker run -u 1000:1000 -p 8080:80 -v $PWD:/app {name(r)}:latest",
    "image": lambda r: "data:image/png;base64," + base64.b64encode(r.randbytes(600)).decode(),
    "wrapped image": lambda r: base64.encodebytes(b"\x89PNG\r\n\x1a\n" + r.randbytes(600)).decode(),
    "base64 text": lambda r: base64.b64encode(f"{words(r, 20)}, as it was.".encode()).decode(),
    "public key": lambda r: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(r, B64, 43)} a@host",
    "certificate": lambda r: "-----BEGIN CERTIFICATE-----\n" + "\n".join(some(r, B64, 64) for _ in range(9)) + "\n-----END CERTIFICATE-----",
    "css": lambda r: f".{r.choice(WORDS)}-task-list-item{{color:#{some(r, HEX, 6)};background:rgba(1,2,3,.5);margin:0 auto}}",
    "minified": lambda r: f"!function(e,t){{var n=t.{r.choice(WORDS)}||{{}};e.exports=function(r){{return n[r]}};n.key=e,n.token=t,n.pass=!0}}(this,{some(r, DIGITS, 4)});",
    "identifier": lambda r: f"def test_{name(r)}_{name(r)}_when_{name(r)}(self): ...",
    "path": lambda r: f"/home/{r.choice(WORDS)}/src/{name(r)}/{name(r)}/index.test.tsx:{r.randint(1, 400)}:{r.randint(1, 80)}",
    "versions": lambda r: f"Successfully installed {name(r)}-{r.randint(0, 9)}.{r.randint(0, 40)}.{r.randint(0, 9)}rc1 b-2026.1.post3",
    "url": lambda r: f"https://example.com/{r.choice(WORDS)}/{name(r)}?page={r.randint(1, 99)}&sort=name#{r.choice(WORDS)}",
    "url with a port": lambda r: f"http://localhost:{r.randint(1000, 9999)}/api and mail to bob@example.com",
    "url with variables": lambda r: f"postgres://${{DB_USER}}:${{DB_PASSWORD}}@{r.choice(WORDS)}:5432/main",
    "ssh remote": lambda r: f"git clone git@github.com:{r.choice(WORDS)}/{name(r)}.git",
    "prose": lambda r: f"The token is checked before the {words(r, 3)}; a password must be at least 12 characters long. Secrets are kept in {name(r)}.",
    "help text": lambda r: f"  --token TOKEN    the token to use\n  --password       ask for the password\n  --api-key KEY    see {r.choice(WORDS)}",
    "documentation": lambda r: f"Set `API_KEY` to your key: `export API_KEY=<your-api-key>` or `API_KEY=your_api_key_here` ({words(r, 2)}).",
    "environment read": lambda r: f'{name(r)} = os.environ["API_KEY"]\npassword = os.getenv("DB_PASSWORD", "")\ntoken = settings.token',
    "javascript read": lambda r: f"const apiKey = process.env.API_KEY; const {{ token, password }} = req.body; login({{password: password, token}}); // {r.choice(WORDS)}",
    "types": lambda r: f"interface Login {{ password: string; token?: string; apiKey: string | null }}\ndef {name(r)}(password: str, token: str | None = None) -> bool: ...",
    "form": lambda r: f'<label for="password">Password:</label><input type="password" name="password" placeholder="{r.choice(WORDS)}" autocomplete="current-password">',
    "lexer": lambda r: f'token = next(tokens)\nif token.type == "IDENT": key = token.value\nelif token == "{r.choice(WORDS)}": pass',
    "model limits": lambda r: json.dumps({"max_tokens": r.randint(1, 9999), "token_count": r.randint(1, 9999), "usage": {"total_tokens": 123, "tokens_per_s": 4.5}}),
    "dictionary keys": lambda r: f'key = "{name(r)}"\nfor key, value in items: cache[key] = value\nprimary_key = "{name(r)}"\nsort_key: {name(r)}',
    "kubernetes reference": lambda r: f"env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: {r.choice(WORDS)}-db\n      key: password",
    "workflow": lambda r: f"env:\n  TOKEN: ${{{{ secrets.GITHUB_TOKEN }}}}\n  PASSWORD: ${{{{ secrets.{r.choice(WORDS).upper()} }}}}\npermissions:\n  id-token: write",
    "compose": lambda r: f"environment:\n  POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD}}\n  SECRET_KEY: ${{SECRET_KEY:-}}\n  MODE: {r.choice(WORDS)}",
    "terraform": lambda r: f'password = var.{name(r)}\ntoken = data.vault.{r.choice(WORDS)}.token\nsecret_id = aws_secret.{name(r)}.id',
    "translations": lambda r: json.dumps({"password": "Password", "forgot_password": "Forgot your password?", "invalid_token": "The token is invalid.", "x": words(r, 3)}),
    "log": lambda r: f"2026-03-01 10:00:{r.randint(10, 59)},123 INFO [worker-{r.randint(1, 9)}] auth: token refreshed in {r.randint(1, 999)} ms, key cache hit 0.93 ({some(r, HEX, 16)})",
    "stack trace": lambda r: f'  File "/app/{name(r)}.py", line {r.randint(1, 900)}, in get_token\n    raise TokenError(f"no token for {{name}}")\nTokenError: no token for {r.choice(WORDS)}',
    "test output": lambda r: f"tests/test_password.py::test_{name(r)} PASSED [ {r.randint(10, 99)}%]\n=== {r.randint(1, 900)} passed, 2 skipped in {r.randint(1, 90)}.31s ===",
    "numbers": lambda r: f"{some(r, DIGITS, 16)[:13]} 1700000000{some(r, DIGITS, 9)} 0.{some(r, DIGITS, 16)} 192.168.0.{r.randint(1, 254)}",
    "compiler error": lambda r: f"src/{name(r)}.c:123:45: error: expected ';' before '}}' token\n{name(r)}.py:12:5: E501 line too long",
    "sql": lambda r: f"CREATE TABLE users (id INTEGER PRIMARY KEY, password TEXT NOT NULL, token VARCHAR(64), {name(r)} TEXT);\nSELECT password, token FROM users WHERE id = {r.randint(1, 99)};",
    "class name": lambda r: f"public class {''.join(w.title() for w in name(r).split('_'))}TokenAuthenticationFilterConfiguration extends BaseSecretKeyProviderFactoryBean {{}}",
    "elided": lambda r: f"export OPENAI_API_KEY=sk-... and GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx then {words(r, 2)}",
    "masked": lambda r: f"password: ******** token=**** DB_PASSWORD=[secret:password] ({words(r, 2)})",
    "locale": lambda r: f"LC_ALL=en_US.UTF-8 lang=sk-SK {UPPER[:3]}{LOWER[:3]} {words(r, 2)}",
    "etag": lambda r: f'ETag: W/"{some(r, HEX, 32)}"\nX-Request-Id: {some(r, HEX, 32)}\nContent-Length: {r.randint(1, 9999)}',
}  # fmt: skip


def samples(rng, each):
    return [(kind, make(rng)) for kind, make in HARMLESS.items() for _ in range(each)]
