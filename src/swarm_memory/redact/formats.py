"""Secrets that can be told by their own form, as data.

A row is (kind, triggers, pattern, check). The pattern is compiled and run only where one of its
triggers, literal texts, occurs: most texts pay for a few searches of substrings and compile
nothing. A row's first group, if it has one, is the secret; else the whole match is. No match that
begins with a letter or digit may begin inside a word (`redact` looks).

What keeps the time linear: every repetition has a limit, and a row whose end is checked after a
long repetition may not begin inside of a run of the characters it repeats, so that no character is
looked at from many beginnings. What keeps it fast: patterns begin with a literal or a class, for
which Python's `re` has a quick search, and look behind only after it.

Sources: the providers' pages on the format of their keys; the rules of gitleaks and of GitHub's
secret scanning.
"""

# ruff: noqa: E501 -- a table: a row a line

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Row = tuple[str, tuple[str, ...], str, Callable[[str], bool] | None]

RUN, RUN_CHARS_MIN = r"[\w+/=.~%:@$-]++", 16
_CARD_LENGTHS = {"3": (15,), "4": (16,), "5": (16,), "2": (16,), "6": (16,)}


def mixed(text: str) -> bool:
    """Tell whether a text has digits and letters: words joined by hyphens have not."""
    return any(c.isdigit() for c in text) and any(c.isalpha() for c in text)


def scrambled(text: str) -> bool:
    """Tell whether a text has digits, capitals and small letters."""
    return mixed(text) and not text.islower() and not text.isupper()


def is_card(text: str) -> bool:
    """Tell whether digits are the number of a card: issuer, length and check digit (Luhn)."""
    digits = [int(c) for c in text if c.isdigit()]
    first = str(digits[0])
    if len(digits) not in _CARD_LENGTHS.get(first, ()) or len(set(digits)) < 4:
        return False
    two = digits[0] * 10 + digits[1]
    if (first == "5" and not 51 <= two <= 55) or (first == "2" and not 22 <= two <= 27):
        return False
    if first == "3" and two not in (34, 37):
        return False
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """Tell whether a text is an account number: ISO 13616, checked modulo 97."""
    plain = "".join(text.split())
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def elided(text: str) -> bool:
    """Tell whether a text only shows the form of a secret, or is a marker of `redact` already."""
    if "[secret:" in text or len(set(text)) < 5:
        return True
    folded = text.lower()
    return any(mark in folded for mark in ("xxxxxx", "***", "...", "…", "your-", "your_"))


def is_password(text: str) -> bool:
    """Tell whether a text in the place of a password is one, and not its placeholder."""
    from swarm_memory.redact.named import PASSWORD, is_secret

    return is_secret(text, PASSWORD, quoted=True)


def _is_pairs(text: str) -> bool:
    """Tell whether a header's text is a list of name=value, as in a cookie."""
    name, equals, value = text.partition("=")
    return bool(equals) and len(value) > 5 and not set(" ({[") & set(name) and mixed(value)


# fmt: off
_BLOCK = (
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}%s-----"
    r"(?:(?:(?!-----)[\s\S]){0,16384}-----END [A-Z0-9 ]{0,60}-----"
    # Cut off, as by head: the lines that look like the inside of a block.
    r"|(?:(?:\s|\\[nr]){1,8}(?:[A-Za-z-]{4,24}: [^\n\\]{0,80}|[A-Za-z0-9+/=]{16,100})){0,200})"
)
# Forms with blanks or other marks in them, or shorter than a run.
LINES: tuple[Row, ...] = (
    ("private-key", ("PRIVATE KEY",), _BLOCK % "PRIVATE KEY(?: BLOCK)?", None),
    ("private-key", ("PRIVATE KEY",),
     r"(?m:^)(?<![A-Za-z0-9+/=]{16}\n)((?:[A-Za-z0-9+/=]{16,100}\r?\n){1,200})-----END (?:[A-Z0-9]{1,12} ){0,4}PRIVATE", None),
    ("private-key", ("Private-Lines:",),
     r"Private-Lines: \d{1,3}\s{1,4}((?:[A-Za-z0-9+/=]{16,80}\s{1,4}){1,200})", None),
    ("aws-secret-key", ("AKIA", "ASIA"),
     r"A[KS]IA[A-Z0-9]{16}[\"']?[\s,:;|]{1,20}[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", None),
    ("azure-key", ("Key=", "key="),
     r"(?:Account|SharedAccess|account|access)[Kk]ey=([A-Za-z0-9+/]{30,100}={0,2})", None),
    ("azure-key", ("sig=",), r"sig=([A-Za-z0-9%+/_-]{30,120}={0,2})", mixed),
    ("azure-key", ("Q~",), r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}", None),
    ("azure-key", ("AZDO",), r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", None),
    ("url-password", ("://",),
     r"://[^\s/:@\"'`<>\\]{0,100}:([^\s/\"'`<>\\]{1,200})@(?=[A-Za-z0-9\[.$_{-])", is_password),
    ("url-token", ("://",), r"://([A-Za-z0-9_-]{20,200})(?::x-oauth-basic)?@", mixed),
    ("authorization", ("uthorization", "UTHORIZATION"),
     r"[aA](?i:uthorization)[\"']?\]?\s{0,4}[:=,]\s{0,4}[\"']?"
     r"(?:(?i:bearer|basic|token|digest|apikey|key|negotiate|bot)\s{1,4})?"
     r"([A-Za-z0-9._~+/=:-]{8,4000}+)(?!\()", mixed),
    ("authorization", ("earer ", "EARER "), r"[bB](?i:earer) ([A-Za-z0-9._~+/-]{16,4000}={0,2})", mixed),
    ("authorization", ("asic ", "ASIC "), r"[bB](?i:asic) ([A-Za-z0-9+/]{12,400}={0,2})", scrambled),
    ("cookie", ("ookie", "OOKIE"),
     r"[cC](?i:ookie)[\"']?\s{0,4}[:,]\s{0,4}[\"']?([^\s\"'\\][^\r\n\"'\\]{5,4000})", _is_pairs),
    ("netrc", ("login", "machine"),
     r"machine\s{1,8}\S{1,200}\s{1,8}login\s{1,8}\S{1,200}\s{1,8}password\s{1,8}(\S{1,200})", None),
    ("pgpass", (":",),
     r":(?<=[\w*]:)(?:\d{4,5}|\*):[\w*-]{1,63}:"
     r"[A-Za-z_*][\w*.-]{0,63}:([^\s:\"']{1,200})(?=[\r\n\"']|\Z)", None),
    ("cli-password", ("curl", "wget", "http"),
     r"-(?<=\s-)(?:u|U|a|-user|-proxy-user|-auth)[ =]?[\"']?[^\s:\"'/]{1,64}:([^\s\"']{3,128})", is_password),
    ("cli-password", ("mysql", "mariadb"),
     r"(?:mysql|mariadb)(?:dump|admin|import)?\s[^\n|;&]{0,200}?(?<=\s)-p[\"']?([^\s\"'=]{3,64})", is_password),
    ("cli-password", ("sshpass", "docker", "podman", "helm"),
     r"(?:sshpass|(?:docker|podman|registry) login\s[^\n|;&]{0,200}?(?<=\s))\s{0,4}-p[ =]?[\"']?([^\s\"']{3,64})",
     is_password),
    ("cli-password", ("redis-cli",), r"redis-cli\s[^\n|;&]{0,200}?(?<=\s)-a\s{1,4}[\"']?([^\s\"']{3,128})", is_password),
    ("credit-card", ("4", "5", "37", "34", "6", "2"),
     r"[2-6](?<![\d.+-].)(?:\d{3}(?:(?: \d{4}){3}|(?:-\d{4}){3}|(?: \d{6} |-\d{6}-)\d{5})|\d{14,15})(?![\w.-])", is_card),
    ("iban", ("",), r"[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?![A-Za-z0-9])", is_iban),
)
# Forms that are one run of at least RUN_CHARS_MIN characters of RUN.
TOKENS: tuple[Row, ...] = (
    ("age-key", ("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{20,80}", None),
    ("aws-access-key", ("AKIA", "ASIA", "ABIA", "ACCA"),
     r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Z0-9])", None),
    ("aws-bedrock-key", ("ABSK",), r"ABSK[A-Za-z0-9+/]{100,200}={0,2}", None),
    ("anthropic-key", ("sk-ant-",), r"sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{20,250}", None),
    ("openrouter-key", ("sk-or-",), r"sk-or-v1-[0-9a-f]{32,64}", None),
    ("openai-key", ("sk-",), r"sk-[A-Za-z0-9_-]{20,250}", scrambled),
    ("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{16,255}", None),
    ("github-token", ("github_pat_",), r"github_pat_\w{20,255}", None),
    ("gitlab-token", ("glpat-", "gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-",
     "glagent-", "glsoat-", "glffct-"),
     r"gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[A-Za-z0-9_-]{16,300}"
     r"(?:\.[0-9a-z]{2}\.[0-9a-z]{7,12})?", mixed),
    ("slack-token", ("xox",), r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,250}", mixed),
    ("slack-token", ("xapp-",), r"xapp-\d-[A-Za-z0-9-]{20,250}", None),
    ("slack-webhook", ("hooks.slack.com",),
     r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{20,200})", None),
    ("stripe-key", ("_live_", "_test_"), r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}", None),
    ("webhook-secret", ("whsec_",), r"whsec_[A-Za-z0-9+/]{24,250}={0,2}", None),
    ("huggingface-token", ("hf_",), r"(?:api_org|hf)_[A-Za-z0-9]{30,60}", None),
    ("npm-token", ("npm_",), r"npm_[A-Za-z0-9]{30,60}", None),
    ("pypi-token", ("pypi-Ag",), r"pypi-Ag[A-Za-z0-9_-]{40,400}", None),
    ("sendgrid-key", ("SG.",), r"SG\.(?<![\w-]SG\.)[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", None),
    ("twilio-key", ("SK",), r"SK[0-9a-f]{32}(?![A-Za-z0-9])", None),
    ("telegram-token", (":AA",), r"\d{6,12}:AA[A-Za-z0-9_-]{32,36}", None),
    ("discord-token", (".",),
     r"[MNO](?<![\w-].)[A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}(?![\w-])", scrambled),
    ("discord-webhook", ("/api/webhooks/",),
     r"discord(?:app)?\.com/api/webhooks/(\d{15,21}/[A-Za-z0-9_-]{40,100})", None),
    ("google-api-key", ("AIza",), r"AIza[A-Za-z0-9_-]{30,40}", mixed),
    ("google-oauth", ("GOCSPX-",), r"GOCSPX-[A-Za-z0-9_-]{20,40}", None),
    ("google-oauth", ("ya29.",), r"ya29\.[A-Za-z0-9_-]{20,1000}", None),
    ("google-oauth", ("1//0",), r"1//0[A-Za-z0-9_-]{30,120}", mixed),
    ("jwt", ("eyJ",),
     r"eyJ(?<![\w-]eyJ)[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,8000}(?:\.[A-Za-z0-9_-]{0,4000}){1,3}", None),
    ("digitalocean-token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[0-9a-f]{40,64}", None),
    ("shopify-token", ("shpat_", "shpca_", "shppa_", "shpss_"), r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", None),
    ("databricks-token", ("dapi",), r"dapi[0-9a-f]{32}(?:-\d)?", None),
    ("doppler-token", ("dp.",), r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,80}", mixed),
    ("linear-key", ("lin_",), r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}", None),
    ("notion-token", ("ntn_",), r"ntn_[A-Za-z0-9]{40,60}", None),
    ("notion-token", ("secret_",), r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])", scrambled),
    ("planetscale-token", ("pscale_",), r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9._=-]{32,64}", None),
    ("sentry-token", ("sntry",), r"sntry[su]_[A-Za-z0-9+/=_-]{40,400}", None),
    ("grafana-token", ("glsa_", "glc_"), r"gl(?:sa|c)_[A-Za-z0-9_+/=]{30,400}", mixed),
    ("newrelic-key", ("NRAK-",), r"NRAK-[A-Z0-9]{24,32}", None),
    ("mailgun-key", ("key-",), r"key-[0-9a-f]{32}(?![A-Za-z0-9])", None),
    ("mailchimp-key", ("-us",), r"[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9])", None),
    ("heroku-key", ("HRKU-",), r"HRKU-[A-Za-z0-9_-]{30,80}", None),
    ("vault-token", ("hvs.", "hvb.", "hvr."), r"hv[sbr]\.[A-Za-z0-9_-]{24,300}", None),
    ("terraform-token", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,90}", None),
    ("docker-token", ("dckr_",), r"dckr_[po]at_[A-Za-z0-9_-]{20,60}", None),
    ("figma-token", ("figd_", "figo_", "figu_", "figur_", "figdr_"), r"fig[dou]r?_[A-Za-z0-9_-]{38,60}", mixed),
    ("postman-key", ("PMAK-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}", None),
    ("rubygems-key", ("rubygems_",), r"rubygems_[0-9a-f]{40,64}", None),
    ("airtable-token", ("pat",), r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}", None),
    ("square-token", ("sq0", "EAAA"), r"(?:sq0[a-z]{3}-[A-Za-z0-9_-]{22,60}|EAAA[A-Za-z0-9_-]{56,64})", mixed),
    ("facebook-token", ("EAA",), r"EAA[A-Za-z0-9]{80,250}", mixed),
    ("atlassian-token", ("ATATT3x", "ATCTT3x", "ATBB"), r"AT(?:ATT3x|CTT3x|BB)[A-Za-z0-9_=-]{24,250}", mixed),
    ("supabase-key", ("sbp_", "sb_secret_"), r"sb(?:p_[0-9a-f]{40}|_secret_[A-Za-z0-9_-]{20,60})", None),
    ("tailscale-key", ("tskey-",), r"tskey-[a-z]{2,12}-[A-Za-z0-9-]{20,100}", mixed),
    ("fly-token", ("fm1", "fm2"), r"fm[12][ar]?_[A-Za-z0-9+/=_,-]{60,1000}", mixed),
    ("model-api-key", ("gsk_", "pplx-", "xai-", "r8_", "lsv2_", "tvly-", "nvapi-"),
     r"(?:gsk_|pplx-|xai-|r8_|lsv2_(?:pt|sk)_|tvly-(?:dev-|prod-)?|nvapi-)[A-Za-z0-9_-]{28,120}", mixed),
    ("twitter-token", ("AAAAAAAAA",), r"A{18,30}[A-Za-z0-9%_-]{60,120}", scrambled),
    ("password-hash", ("$2", "$1$", "$5$", "$6$", "$y$", "$7$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2"), r"\$(?:2[abxy]|1|5|6|y|apr1|7|argon2id?|scrypt|pbkdf2-sha\d{3})"
     r"\$[./A-Za-z0-9$=,+-]{20,200}", mixed),
)
# fmt: on
