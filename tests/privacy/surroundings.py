"""The places where agents meet secrets: files, commands, output, prose, and encodings of these."""

import base64
import json
import textwrap
from collections import namedtuple
from urllib.parse import quote

# `takes`: the forms of secrets that occur there. `hidden(parts)` says what must be gone from the
# text: the parts of the secret, or its encoded form.
Surrounding = namedtuple("Surrounding", "name takes write")
ANY = ("bare", "named", "quoted", "line")
NAMED = ("bare", "named")
QUOTED = ("bare", "named", "quoted")
BARE = ("bare",)
PLAIN = ("bare", "line")

SURROUNDINGS = []


def place(*takes):
    def add(write):
        SURROUNDINGS.append(Surrounding(write.__name__.replace("_", " "), takes, write))
        return write

    return add


def camel(name):
    first, *rest = name.lower().split("_") if "_" in name or name.isupper() else [name]
    return first + "".join(word.title() for word in rest)


# --- with a name: each returns the text, given the name and the secret -------------------------


@place(*NAMED)
def env_file(name, secret):
    return f"# settings\nMODE=prod\n{name.upper()}={secret}\nPORT=8080\n"


@place(*QUOTED)
def quoted_env_file(name, secret):
    return f'MODE=prod\n{name.upper()}="{secret}"\nPORT=8080\n'


@place(*QUOTED)
def export(name, secret):
    return f"export {name.upper()}='{secret}' && ./run.sh --fast"


@place(*NAMED)
def inline_variable(name, secret):
    return f"{name.upper()}={secret} python manage.py migrate"


@place(*NAMED)
def docker_run(name, secret):
    return f"docker run --rm -e {name.upper()}={secret} -p 80:80 app:latest"


@place(*NAMED)
def dockerfile(name, secret):
    return f"FROM python:3.12\nENV {name.upper()}={secret}\nRUN make"


@place(*NAMED)
def yaml(name, secret):
    return f"database:\n  host: db\n  {name.lower()}: {secret}\n  pool: 5\n"


@place(*QUOTED)
def quoted_yaml(name, secret):
    return f'app:\n  {camel(name)}: "{secret}"\n  debug: false\n'


@place(*QUOTED)
def json_file(name, secret):
    return json.dumps({"host": "db", name: secret, "port": 5432}, indent=2)


@place(*QUOTED)
def compact_json(name, secret):
    return json.dumps({"a": 1, name.lower(): secret}, separators=(",", ":"))


@place(*QUOTED)
def json_in_json(name, secret):
    return json.dumps({"body": json.dumps({"user": "bob", name: secret})})


@place(*QUOTED)
def json_thrice(name, secret):
    return json.dumps({"log": json.dumps({"body": json.dumps({name: secret})})})


@place(*QUOTED)
def toml(name, secret):
    return f'[service]\n{name.lower()} = "{secret}"\nretries = 3\n'


@place(*NAMED)
def ini(name, secret):
    return f"[client]\nuser={'app'}\n{name.lower()}={secret}\n"


@place(*QUOTED)
def python_assignment(name, secret):
    return f'import os\n\n{name.upper()} = "{secret}"\nclient = connect()\n'


@place(*QUOTED)
def python_argument(name, secret):
    return f'client = connect(host="db", {name.lower()}="{secret}", timeout=3)'


@place(*QUOTED)
def annotated_python(name, secret):
    return f"class Settings:\n    {name.lower()}: str = '{secret}'\n    port: int = 1\n"


@place(*QUOTED)
def javascript(name, secret):
    return f"const {camel(name)} = '{secret}';\nmodule.exports = {{}};\n"


@place(*QUOTED)
def javascript_object(name, secret):
    return f"const options = {{ user: 'app', {camel(name)}: '{secret}', ssl: true }};"


@place(*QUOTED)
def ruby_hash(name, secret):
    return f'config = {{ :{name.lower()} => "{secret}", :port => 1 }}'


@place(*QUOTED)
def java_property(name, secret):
    return f'props.setProperty("{name.lower()}", "{secret}");'


@place(*QUOTED)
def go_struct(name, secret):
    return f"cfg := Config{{\n\t{camel(name).title()}: `{secret}`,\n}}"


@place(*NAMED)
def xml_tag(name, secret):
    return f"<settings><{camel(name)}>{secret}</{camel(name)}></settings>"


@place(*QUOTED)
def xml_attribute(name, secret):
    return f'<add key="{name}" value="{secret}" />'


@place(*QUOTED)
def terraform(name, secret):
    return f'resource "db" "x" {{\n  {name.lower()} = "{secret}"\n}}'


@place(*NAMED)
def option(name, secret):
    return f"deploy --env prod --{name.lower().replace('_', '-')} {secret} --verbose"


@place(*NAMED)
def option_with_equals(name, secret):
    return f"deploy --{name.lower().replace('_', '-')}={secret} --verbose"


@place(*NAMED)
def powershell(name, secret):
    return f'$env:{name.upper()} = "{secret}"; ./build.ps1'


@place(*NAMED)
def query_parameter(name, secret):
    return f"GET https://api.example.com/v1/items?page=2&{name.lower()}={quote(secret, '')}&x=1"


@place(*NAMED)
def percent_encoded(name, secret):
    return "redirect=" + quote(f"https://a.example/cb?{name.lower()}={secret}&state=1", "")


@place(*QUOTED)
def http_body(name, secret):
    body = json.dumps({name.lower(): secret})
    return f"curl -X POST -H 'Content-Type: application/json' -d '{body}' https://a.example"


@place(*NAMED)
def log_line(name, secret):
    return f"2026-03-01T10:00:00Z INFO boot config {name.lower()}={secret} mode=prod"


@place(*NAMED)
def diff(name, secret):
    return f"@@ -1,2 +1,2 @@\n-{name.upper()}=\n+{name.upper()}={secret}\n MODE=prod"


@place(*NAMED)
def grep_output(name, secret):
    return f"deploy/app.env:14:{name.upper()}={secret}\ndeploy/app.env:15:PORT=80"


@place(*QUOTED)
def python_repr(name, secret):
    return f"KeyError in call: kwargs={{'host': 'db', '{name.lower()}': '{secret}'}}"


@place(*QUOTED)
def base64_of_settings(name, secret):
    text = f'MODE=prod\n{name.upper()}="{secret}"\nPORT=80\n'
    return "blob: " + base64.b64encode(text.encode()).decode()


@place(*QUOTED)
def escaped_output(name, secret):
    return json.dumps({"stdout": f'MODE=prod\n{name.upper()}="{secret}"\nPORT=80\n', "code": 0})


@place(*QUOTED)
def continued_line(name, secret):
    return f"docker run \\\n  -e {name.upper()}=\\\n'{secret}' \\\n  app"


@place(*NAMED)
def heredoc(name, secret):
    return f"cat > .env <<'EOF'\n{name.upper()}={secret}\nEOF\nchmod 600 .env"


# --- what gives itself away -------------------------------------------------------------------


@place(*BARE)
def prose(name, secret):
    return f"Please use {secret} for the deployment, it is valid until Friday."


@place(*BARE)
def chat(name, secret):
    return f"user: here you go -> {secret}\nassistant: thanks, I will not repeat it"


@place(*BARE)
def echo(name, secret):
    return f"echo {secret} | tee /tmp/out"


@place(*BARE)
def lone_line(name, secret):
    return f"{secret}\n"


@place(*BARE)
def comment(name, secret):
    return f"x = 1  # was {secret}, rotate it\n"


@place(*BARE)
def list_item(name, secret):
    return f"- first\n- `{secret}`\n- last"


@place(*BARE)
def csv(name, secret):
    return f"id,value\n1,{secret}\n2,none\n"


@place(*BARE)
def harmless_member(name, secret):
    return json.dumps({"id": 7, "value": secret, "note": "x"})


@place(*BARE)
def argument_list(name, secret):
    return json.dumps(["deploy", "--with", secret, "now"])


@place(*BARE)
def commit_message(name, secret):
    return f"commit 3f786850e387550fdab836ed7e6dc881de23001b\n\n    remove {secret} from tests"


@place(*BARE)
def url_path(name, secret):
    return f"POST https://hooks.example.com/in/{quote(secret, '')} HTTP/1.1"


@place(*BARE)
def base64_alone(name, secret):
    return base64.b64encode(f"the value is {secret}".encode()).decode()


@place(*BARE)
def html_entity(name, secret):
    return f"<input value=&quot;{secret}&quot;>"


@place(*BARE)
def split_string(name, secret):
    half = len(secret) // 2
    return f'value = "{secret[:half]}" + \\\n    "{secret[half:]}"\n'


@place(*BARE)
def wrapped_by_terminal(name, secret):
    if len(secret) < 60:
        return f"value {secret}"
    return "value " + secret[:50] + "\n" + secret[50:] + "\n$ "


# --- lines and blocks -------------------------------------------------------------------------


@place(*PLAIN)
def between_lines(name, secret):
    return f"first line\n{secret}\nlast line\n"


@place(*PLAIN)
def fenced(name, secret):
    return f"Run this:\n\n```\n{secret}\n```\nand wait."


@place(*PLAIN)
def tool_output(name, secret):
    return json.dumps({"stdout": f"ok\n{secret}\ndone", "stderr": "", "interrupted": False})


@place(*PLAIN)
def tool_output_in_transcript(name, secret):
    return json.dumps({"line": json.dumps({"stdout": f"ok\n{secret}\ndone"})})


@place(*PLAIN)
def written_file(name, secret):
    return json.dumps({"file_path": "/tmp/x", "content": f"{secret}\n"})


@place(*PLAIN)
def base64_block(name, secret):
    return base64.b64encode(f"# file\n{secret}\n".encode()).decode()


@place(*PLAIN)
def wrapped_base64(name, secret):
    text = base64.b64encode(f"# file\n{secret}\n# end of it\n".encode()).decode()
    return "\n".join(textwrap.wrap(text, 76))


@place(*PLAIN)
def percent_block(name, secret):
    return "body=" + quote(f"x\n{secret}\ny", "")
