# The programs that interop/run needs: installed where they are missing, and an error where that cannot be.

packages=(
    swaks libauthen-sasl-perl libnet-ssleay-perl
    curl msmtp s-nail gsasl openssl
    postfix dovecot-core dovecot-lmtpd dovecot-pop3d dovecot-imapd dovecot-sieve
    procmail procmail-lib fetchmail mpop getmail6 mutt nmh spamassassin spamc
    python3 ca-certificates
)
programs=(
    swaks curl msmtp s-nail gsasl openssl postfix postconf smtp-source smtp-sink dovecot doveconf sievec sieve-test
    procmail formail fetchmail mpop getmail mutt spamassassin spamc python3 node npm
)
# Of the line that runs on Debian 12's Node.
nodemailer_version=7.0.9

# Installs with every service start denied, then puts the machine's own policy back.
install_packages() {
    local missing=() package program
    for package in "${packages[@]}"; do
        if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            missing+=("$package")
        fi
    done
    # Node's own packages bring npm with them and conflict with Debian's.
    if ! command -v npm >/dev/null; then
        command -v node >/dev/null || missing+=(nodejs)
        missing+=(npm)
    fi
    if ((${#missing[@]})); then
        echo "installing ${missing[*]}" >&2
        (
            policy=/usr/sbin/policy-rc.d
            kept=$(mktemp -d)
            [[ ! -e $policy ]] || cp -p "$policy" "$kept/policy-rc.d"
            restore() {
                rm -f "$policy"
                [[ ! -e $kept/policy-rc.d ]] || cp -p "$kept/policy-rc.d" "$policy"
                rm -rf "$kept"
            }
            trap restore EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq
            apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$kept/log" 2>&1 </dev/null || {
                tail -n 30 "$kept/log" >&2
                exit 1
            }
        ) || {
            echo "interop/run: expected to install ${missing[*]}, found the error above" >&2
            exit 1
        }
    fi
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || {
            echo "interop/run: expected the program $program, found none after installing its package" >&2
            exit 1
        }
    done
}

# Into a cache folder outside the repository.
install_nodemailer() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/mailwright-interop
    export INTEROP_NODE_MODULES=$cache/node_modules
    if [[ ! -e $INTEROP_NODE_MODULES/nodemailer/package.json ]] \
        || ! grep -q "\"version\": \"$nodemailer_version\"" "$INTEROP_NODE_MODULES/nodemailer/package.json"; then
        mkdir -p "$cache"
        npm install --silent --no-fund --no-audit --no-save --prefix "$cache" "nodemailer@$nodemailer_version" >&2 || {
            echo "interop/run: expected npm to install nodemailer $nodemailer_version, found the error above" >&2
            exit 1
        }
    fi
    [[ -e $INTEROP_NODE_MODULES/nodemailer/package.json ]] || {
        echo "interop/run: expected nodemailer in $INTEROP_NODE_MODULES, found none" >&2
        exit 1
    }
}
