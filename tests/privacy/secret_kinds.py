"""Made-up secrets of every kind: real forms, filled with seeded random characters.

None was ever valid. The literal beginnings are put together from parts, so that scanners of
repositories do not take this file for a leak.
"""

# ruff: noqa: E501 -- a table: a kind a line

import base64
import json
import string
from collections import namedtuple

# form: "bare" gives itself away; "named" needs a telling name; "phrase" too, and has spaces;
# "line" is a line or block with a syntax of its own, whose `hidden` parts must vanish.
Kind = namedtuple("Kind", "name form make names", defaults=(("API_KEY", "AUTH_TOKEN"),))
Secret = namedtuple("Secret", "text hidden")

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM, HEX, B32 = LOWER + UPPER + DIGITS, "0123456789abcdef", UPPER + "234567"
URLSAFE, B64 = ALNUM + "-_", ALNUM + "+/"
SPECIAL = "!@#$%^*-_+=?.~"
WORDS = [
    "correct",
    "horse",
    "battery",
    "staple",
    "river",
    "copper",
    "lantern",
    "velvet",
    "orbit",
    "maple",
    "thunder",
    "pickle",
    "anchor",
    "saddle",
    "ember",
    "quartz",
    "meadow",
    "falcon",
    "sugar",
    "tunnel",
    "winter",
    "dragon",
    "monkey",
    "sunshine",
]
PASSWORDS = ("DB_PASSWORD", "password", "PGPASSWORD", "admin_password", "smtpPassword", "passwd")
SECRETS = ("CLIENT_SECRET", "client_secret", "APP_SECRET", "clientSecret", "SECRET_KEY")
TOKENS = ("API_KEY", "api_key", "apiKey", "AUTH_TOKEN", "access_token", "X_API_KEY")


def some(rng, alphabet, count):
    """Return random characters, a digit and a letter among them as in any real key."""
    while True:
        text = "".join(rng.choice(alphabet) for _ in range(count))
        if alphabet == DIGITS or (set(text) & set(DIGITS) and set(text) - set(DIGITS)):
            return text


def form(*parts):
    """Return a maker of secrets: texts are literal, (alphabet, count) random."""

    def make(rng):
        text = "".join(p if isinstance(p, str) else some(rng, *p) for p in parts)
        return Secret(text, [text])

    return make


def password(rng):
    style = rng.randrange(4)
    if style == 0:
        text = rng.choice(WORDS) + some(rng, DIGITS, rng.randint(1, 4)) + rng.choice(["", "!", "#"])
    elif style == 1:
        word = rng.choice(WORDS)
        text = word.title().replace("a", "@").replace("e", "3") + "!" + some(rng, DIGITS, 2)
    elif style == 2:
        text = some(rng, ALNUM, rng.randint(10, 20))
    else:
        text = some(rng, ALNUM, 3) + some(rng, ALNUM + SPECIAL, rng.randint(8, 20))
    return Secret(text, [text])


def phrase(rng):
    text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(3, 6)))
    return Secret(text, [text])


def lettered(rng):
    text = rng.choice(WORDS) + rng.choice(WORDS)
    return Secret(text, [text])


def uuid(rng):
    text = "-".join(some(rng, HEX, n) for n in (8, 4, 4, 4, 12))
    return Secret(text, [text])


def jwt(rng):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    payload = part({"sub": some(rng, DIGITS, 8), "name": rng.choice(WORDS), "iat": 1700000000})
    signature = some(rng, URLSAFE, 43)
    return Secret(f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{payload}.{signature}",
                  [payload, signature])  # fmt: skip


def block(label, *, lines=8, head=""):
    def make(rng):
        body = [some(rng, B64, 64) for _ in range(lines)] + [some(rng, B64, 40) + "=="]
        begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
        return Secret("\n".join([begin + head, *body, end]), body)

    return make


def cut_block(rng):
    whole = block("RSA " + "PRIVATE KEY")(rng)
    return Secret("\n".join(whole.text.split("\n")[:6]), whole.hidden[:5])


def service_account(rng):
    key = block("PRIVATE " + "KEY", lines=4)(rng)
    key_id = some(rng, HEX, 40)
    text = json.dumps({"type": "service_account", "project_id": "demo-1", "private_key_id": key_id,
                       "private_key": key.text + "\n", "client_email": "a@b.example"})  # fmt: skip
    return Secret(text, [*key.hidden, key_id])


def url(scheme, port=""):
    def make(rng):
        secret = some(rng, ALNUM + "!*-_.~", rng.randint(8, 20))
        host = rng.choice(["db.internal", "localhost", "10.0.3.7", "cache-1.eu.example.com"])
        return Secret(f"{scheme}://{rng.choice(WORDS)}:{secret}@{host}{port}/main", [secret])

    return make


def line(template, alphabet=ALNUM, count=20):
    def make(rng):
        secret = some(rng, alphabet, count)
        return Secret(template.replace("@@", secret), [secret])

    return make


def typed(template):
    def make(rng):
        secret = rng.choice(WORDS) + some(rng, DIGITS, 3) + some(rng, ALNUM, 4)
        return Secret(template.replace("@@", secret), [secret])

    return make


def basic(rng):
    text = base64.b64encode(f"{rng.choice(WORDS)}:{some(rng, ALNUM, 14)}".encode()).decode()
    return Secret(f"Authorization: Basic {text}", [text])


def card(rng):
    prefix = rng.choice(["4539", "4716", "5425", "2223", "6011"])
    digits = [int(c) for c in prefix + some(rng, DIGITS, 11)]
    total = sum(digits[-2::-2]) + sum(d * 2 - 9 * (d > 4) for d in digits[-1::-2])
    digits.append(-total % 10)
    text = "".join(map(str, digits))
    mark = rng.choice([" ", "-", ""])
    text = mark.join(text[i : i + 4] for i in range(0, 16, 4))
    return Secret(text, [text])


def iban(rng):
    country, length = rng.choice([("DE", 18), ("NL", 14), ("FR", 23), ("GB", 18)])
    bban = ("ABCD" if country in ("NL", "GB") else "") + some(rng, DIGITS, length)
    bban = bban[:length]
    number = int("".join(str(int(c, 36)) for c in bban + country + "00"))
    text = f"{country}{98 - number % 97:02}{bban}"
    if rng.random() < 0.5:
        text = " ".join(text[i : i + 4] for i in range(0, len(text), 4))
    return Secret(text, [text])


def aws_pair(rng):
    ident, secret = "AKIA" + some(rng, B32, 16), some(rng, B64, 40)
    return Secret(f"Access key ID,Secret access key\n{ident},{secret}", [ident, secret])


def bare(name, *parts):
    return Kind(name, "bare", form(*parts))


def own(name, make):
    return Kind(name, "line", make)


KINDS = [
    bare("aws access key", "AK" + "IA", (B32, 16)),
    bare("aws temporary key", "AS" + "IA", (B32, 16)),
    own("aws key pair", aws_pair),
    Kind("aws secret key", "named", form((B64, 40)), ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key", "secretAccessKey")),
    Kind("aws session token", "named", form("IQoJb3JpZ2luX2Vj", (B64, 300)), ("AWS_SESSION_TOKEN", "aws_session_token")),
    bare("github classic", "gh" + "p_", (ALNUM, 36)),
    bare("github oauth", "gh" + "o_", (ALNUM, 36)),
    bare("github server", "gh" + "s_", (ALNUM, 36)),
    bare("github fine-grained", "github" + "_pat_", (ALNUM, 22), "_", (ALNUM, 59)),
    bare("gitlab personal", "gl" + "pat-", (URLSAFE, 20)),
    bare("gitlab runner", "gl" + "rt-", (URLSAFE, 20)),
    bare("slack bot", "xo" + "xb-", (DIGITS, 12), "-", (DIGITS, 12), "-", (ALNUM, 24)),
    bare("slack user", "xo" + "xp-", (DIGITS, 11), "-", (DIGITS, 11), "-", (DIGITS, 12), "-", (HEX, 32)),
    bare("slack app", "xa" + "pp-1-", (UPPER + DIGITS, 11), "-", (DIGITS, 13), "-", (HEX, 64)),
    own("slack webhook", line("https://hooks." + "slack.com/services/T0AB12CD3/B0EF45GH6/@@", ALNUM, 24)),
    bare("stripe live", "sk" + "_live_", (ALNUM, 24)),
    bare("stripe restricted", "rk" + "_live_", (ALNUM, 99)),
    bare("stripe test", "sk" + "_test_", (ALNUM, 32)),
    bare("stripe webhook", "wh" + "sec_", (ALNUM, 32)),
    bare("openai legacy", "sk" + "-", (ALNUM, 48)),
    bare("openai project", "sk" + "-proj-", (URLSAFE, 64), "T3BlbkFJ", (URLSAFE, 64)),
    bare("anthropic", "sk" + "-ant-api03-", (URLSAFE, 93), "AA"),
    bare("openrouter", "sk" + "-or-v1-", (HEX, 64)),
    bare("huggingface", "h" + "f_", (ALNUM, 34)),
    bare("groq", "gs" + "k_", (ALNUM, 52)),
    bare("replicate", "r8" + "_", (ALNUM, 37)),
    bare("xai", "xa" + "i-", (ALNUM, 80)),
    bare("langsmith", "ls" + "v2_pt_", (HEX, 32), "_", (HEX, 10)),
    bare("npm", "np" + "m_", (ALNUM, 36)),
    bare("pypi", "py" + "pi-AgEIcHlwaS5vcmc", (URLSAFE, 140)),
    bare("rubygems", "ruby" + "gems_", (HEX, 48)),
    bare("docker hub", "dckr" + "_pat_", (URLSAFE, 27)),
    bare("sendgrid", "S" + "G.", (ALNUM, 22), ".", (ALNUM, 43)),
    bare("twilio", "S" + "K", (HEX, 32)),
    bare("mailgun", "ke" + "y-", (HEX, 32)),
    bare("mailchimp", (HEX, 32), "-us", (DIGITS, 2)),
    bare("telegram", (DIGITS, 10), ":AA", (URLSAFE, 33)),
    bare("discord bot", "M", (ALNUM, 25), ".", (ALNUM, 6), ".", (ALNUM, 38)),
    own("discord webhook", line("https://discord.com/api/" + "webhooks/1084311223344556677/@@", ALNUM, 68)),
    bare("google api", "AI" + "za", (URLSAFE, 34), "Q"),
    bare("google client secret", "GOC" + "SPX-", (URLSAFE, 28)),
    bare("google access token", "ya" + "29.", (URLSAFE, 160)),
    bare("google refresh token", "1/" + "/0", (ALNUM, 60)),
    own("gcp service account", service_account),
    own("azure storage", line("DefaultEndpointsProtocol=https;AccountName=demo;Account" + "Key=@@==;EndpointSuffix=core.windows.net", B64, 86)),
    own("azure service bus", line("Endpoint=sb://demo.example.net/;SharedAccessKeyName=Root;SharedAccess" + "Key=@@=", B64, 43)),
    own("azure sas", line("https://demo.blob.example.net/c/f.txt?sv=2022-11-02&sp=r&si" + "g=@@%3D", ALNUM, 43)),
    bare("azure client secret", (ALNUM, 3), "8Q~", (ALNUM, 34)),
    bare("digitalocean", "do" + "p_v1_", (HEX, 64)),
    bare("shopify", "shp" + "at_", (HEX, 32)),
    bare("databricks", "da" + "pi", (HEX, 32)),
    bare("doppler", "dp" + ".pt.", (ALNUM, 43)),
    bare("linear", "lin" + "_api_", (ALNUM, 40)),
    bare("notion", "nt" + "n_", (ALNUM, 46)),
    bare("sentry", "sntr" + "yu_", (HEX, 64)),
    bare("grafana", "gl" + "sa_", (ALNUM, 32), "_", (HEX, 8)),
    bare("new relic", "NR" + "AK-", (UPPER + DIGITS, 27)),
    bare("vault", "hv" + "s.", (ALNUM, 90)),
    bare("terraform cloud", (ALNUM, 14), ".atlas" + "v1.", (ALNUM, 67)),
    bare("figma", "fig" + "d_", (URLSAFE, 40)),
    bare("postman", "PM" + "AK-", (HEX, 24), "-", (HEX, 34)),
    bare("airtable", "pa" + "t", (ALNUM, 14), ".", (HEX, 64)),
    bare("square", "sq" + "0csp-", (URLSAFE, 43)),
    bare("facebook", "EA" + "A", (ALNUM, 160)),
    bare("atlassian", "ATA" + "TT3xFfGF0", (URLSAFE, 170), "=", (UPPER + DIGITS, 8)),
    bare("bitbucket", "AT" + "BB", (ALNUM, 32)),
    bare("supabase", "sb" + "p_", (HEX, 40)),
    bare("tailscale", "ts" + "key-auth-", (ALNUM, 17), "-", (ALNUM, 32)),
    bare("planetscale", "psc" + "ale_pw_", (ALNUM, 43)),
    Kind("jwt", "bare", jwt, ("ID_TOKEN", "access_token")),
    bare("age", "AGE-SECRET-" + "KEY-1", (UPPER + DIGITS, 58)),
    own("rsa key", block("RSA " + "PRIVATE KEY")),
    own("ec key", block("EC " + "PRIVATE KEY", lines=2)),
    own("pkcs8 key", block("PRIVATE " + "KEY")),
    own("encrypted key", block("RSA " + "PRIVATE KEY", head="\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n")),
    own("ssh key", block("OPENSSH " + "PRIVATE KEY", lines=5)),
    own("pgp key", block("PGP " + "PRIVATE KEY BLOCK")),
    own("cut key", cut_block),
    own("postgres url", url("postgres", ":5432")),
    own("mysql url", url("mysql+pymysql", ":3306")),
    own("mongodb url", url("mongodb+srv")),
    own("redis url", url("rediss", ":6379")),
    own("amqp url", url("amqp", ":5672")),
    own("basic auth url", url("https")),
    own("git token url", line("git clone https://gh" + "p_@@@github.com/acme/app.git", ALNUM, 36)),
    own("bearer header", line("Authorization: Bearer @@", URLSAFE, 40)),
    own("basic header", basic),
    own("token header", line("authorization: token @@", HEX, 40)),
    own("api key header", line("X-Api-Key: @@", ALNUM, 32)),
    own("cookie", line("Cookie: theme=dark; sessionid=@@; csrftoken=k3", ALNUM, 32)),
    own("set-cookie", line("Set-Cookie: JSESSIONID=@@; Path=/; HttpOnly", HEX, 32)),
    own("netrc", typed("machine api.example.com\n  login deploy\n  password @@")),
    own("netrc one line", typed("machine api.example.com login deploy password @@")),
    own("pgpass", typed("db.internal:5432:main:deploy:@@")),
    own("npmrc", line("//registry.example.org/:_authToken=@@", ALNUM, 36)),
    own("ado.net", typed("Server=db;Database=main;User Id=sa;Password=@@;Encrypt=true")),
    own("jdbc", typed("jdbc:postgresql://db:5432/main?user=app&password=@@&ssl=true")),
    own("curl user", typed("curl -s -u deploy:@@ https://api.example.com/v1")),
    own("mysql option", typed("mysqldump -h db -uroot -p@@ main")),
    own("sshpass", typed("sshpass -p '@@' ssh deploy@host")),
    own("docker login", typed("docker login -u bot -p @@ registry.example.com")),
    own("openssl pass", typed("openssl rsa -in k.pem -passin pass:@@ -out o.pem")),
    own("bcrypt hash", line("admin:$2b$12$@@", "./" + ALNUM, 53)),
    own("shadow hash", line("root:$6$saltsalt$@@:19700:0:99999:7:::", "./" + ALNUM, 86)),
    own("wireguard", line("[Interface]\nPrivateKey = @@=\nAddress = 10.0.0.2/32", B64, 43)),
    own("kubernetes secret", line("kind: Secret\ndata:\n  password: @@", ALNUM, 24)),
    own("kubernetes env", typed("env:\n  - name: DB_PASSWORD\n    value: \"@@\"\n  - name: MODE\n    value: prod")),
    Kind("password", "named", password, PASSWORDS),
    Kind("word password", "quoted", lettered, PASSWORDS),
    Kind("passphrase", "quoted", phrase, ("passphrase", "KEY_PASSPHRASE", "password")),
    Kind("hex secret", "named", form((HEX, 32)), SECRETS),
    Kind("alnum secret", "named", form((ALNUM, 24)), SECRETS),
    Kind("base64 secret", "named", form((B64, 43), "="), SECRETS),
    Kind("hex api key", "named", form((HEX, 32)), TOKENS),
    Kind("alnum api key", "named", form((ALNUM, 20)), TOKENS),
    Kind("uuid token", "named", uuid, TOKENS),
    Kind("signing key", "named", form((URLSAFE, 50)), ("SIGNING_KEY", "encryption_key", "jwtSecret", "PRIVATE_KEY")),
    Kind("credit card", "bare", card, ("card", "pan")),
    Kind("iban", "bare", iban, ("iban", "account")),
]  # fmt: skip
