// What an NGINX without a JWT module can do: for each request fetch the key set by a subrequest, import the key,
// verify. Answers 204 with X-User, or 401.

const ALGORITHMS = {
    ES256: { curve: { name: 'ECDSA', namedCurve: 'P-256' }, check: { name: 'ECDSA', hash: 'SHA-256' } },
    ES512: { curve: { name: 'ECDSA', namedCurve: 'P-521' }, check: { name: 'ECDSA', hash: 'SHA-512' } },
    RS256: { curve: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, check: { name: 'RSASSA-PKCS1-v1_5' } },
};

function decode(segment) {
    return JSON.parse(Buffer.from(segment, 'base64url').toString());
}

async function checked(r) {
    const given = r.headersIn.Authorization || '';
    const parts = given.slice(7).split('.');
    if (given.slice(0, 7) !== 'Bearer ' || parts.length !== 3) {
        throw new Error('no token');
    }
    const header = decode(parts[0]);
    const algorithm = r.variables.algorithm;
    if (header.alg !== algorithm) {
        throw new Error('algorithm');
    }
    const reply = await r.subrequest(r.variables.jwks);
    const jwk = JSON.parse(reply.responseText).keys.find((each) => each.kid === header.kid);
    const key = await crypto.subtle.importKey('jwk', jwk, ALGORITHMS[algorithm].curve, false, ['verify']);
    const good = await crypto.subtle.verify(
        ALGORITHMS[algorithm].check, key, Buffer.from(parts[2], 'base64url'), Buffer.from(`${parts[0]}.${parts[1]}`)
    );
    const claims = decode(parts[1]);
    if (!good || claims.iss !== r.variables.issuer || claims.exp <= Date.now() / 1000) {
        throw new Error('token');
    }
    if (claims.aud !== r.variables.audience && !(Array.isArray(claims.aud) && claims.aud.includes(r.variables.audience))) {
        throw new Error('audience');
    }
    return claims;
}

async function verify(r) {
    try {
        const claims = await checked(r);
        r.headersOut['X-User'] = claims.sub;
        r.return(204);
    } catch (error) {
        r.return(401);
    }
}

export default { verify };
