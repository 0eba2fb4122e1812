/* What `openssl speed` measures, as fixed amounts of work: no alarm ends a loop, so that outputs can be compared.

   openssl_work SCALE [NAME...] prints a line for each operation, or each named one: its name, the microseconds of
   processor time that SCALE times its count took, and, in hexadecimal, what came of it. Keys are made of constant
   numbers. Signatures of ECDSA take random numbers: of these the line says that they verify.

   openssl_work processor prints which extensions of the processor libcrypto uses, as its environment variable
   OPENSSL_ia32cap wants them. WITH_ASSEMBLY: more work, for a libcrypto that is quicker. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 16384 };

static unsigned char block[BLOCK + 64];
static const char *operation;
static clock_t begun;

static void require(int good, const char *what)
{
	if (good) return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static void begin(void)
{
	begun = clock();
}

static void end(void)
{
	printf("%s %ld ", operation, (long)((clock() - begun) * (1000000 / CLOCKS_PER_SEC)));
}

static void show(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) printf("%02x", bytes[i]);
	printf("\n");
}

static void cipher(const char *name, int encrypts, long count)
{
	static const unsigned char key[32] = "0123456789abcdef0123456789abcdef", iv[16] = "an initial value";
	unsigned char tag[16];
	int size;
	EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, name, NULL);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	require(algorithm && context && EVP_CipherInit_ex2(context, algorithm, key, iv, encrypts, NULL), name);
	EVP_CIPHER_CTX_set_padding(context, 0);
	memset(block, 0, sizeof block);
	begin();
	while (count--) require(EVP_CipherUpdate(context, block, &size, block, BLOCK), name);
	end();
	require(EVP_CipherFinal_ex(context, block, &size), name);
	if (EVP_CIPHER_get_flags(algorithm) & EVP_CIPH_FLAG_AEAD_CIPHER) {
		require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag), name);
		memcpy(block, tag, sizeof tag);
	}
	show(block, 32);
}

static void digest(const char *name, long count)
{
	unsigned char result[EVP_MAX_MD_SIZE];
	unsigned size;
	EVP_MD *algorithm = EVP_MD_fetch(NULL, name, NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	require(algorithm && context && EVP_DigestInit_ex2(context, algorithm, NULL), name);
	memset(block, 0, sizeof block);
	begin();
	while (count--) require(EVP_DigestUpdate(context, block, BLOCK), name);
	end();
	require(EVP_DigestFinal_ex(context, result, &size), name);
	show(result, size);
}

/* The first prime from a number of so many bits on that fits an exponent of 65537. */
static BIGNUM *prime(int bits, unsigned start)
{
	BIGNUM *found = BN_new();
	BN_CTX *context = BN_CTX_new();
	require(found && context && BN_set_word(found, 3) && BN_lshift(found, found, bits - 2) && BN_add_word(found, start | 1), "prime");
	while (BN_mod_word(found, 65537) == 1 || BN_check_prime(found, context, NULL) != 1) BN_add_word(found, 2);
	BN_CTX_free(context);
	return found;
}

static EVP_PKEY *key_of(const char *type, OSSL_PARAM_BLD *build, int selection)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
	require(context && parameters && EVP_PKEY_fromdata_init(context) > 0 &&
			EVP_PKEY_fromdata(context, &key, selection, parameters) > 0,
		type);
	return key;
}

static EVP_PKEY *rsa_key(void)
{
	BN_CTX *context = BN_CTX_new();
	BIGNUM *p = prime(1024, 1), *q = prime(1024, 1 << 20), *n = BN_new(), *e = BN_new(), *d, *phi = BN_new();
	BIGNUM *dp = BN_new(), *dq = BN_new(), *less = BN_new();
	BN_mul(n, p, q, context);
	BN_set_word(e, 65537);
	BN_sub(phi, n, p), BN_sub(phi, phi, q), BN_add_word(phi, 1);
	d = BN_mod_inverse(NULL, e, phi, context);
	BN_copy(less, p), BN_sub_word(less, 1), BN_mod(dp, d, less, context);
	BN_copy(less, q), BN_sub_word(less, 1), BN_mod(dq, d, less, context);
	BIGNUM *inverse = BN_mod_inverse(NULL, q, p, context);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_FACTOR1, p), OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_FACTOR2, q);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_EXPONENT1, dp), OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_EXPONENT2, dq);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, inverse);
	return key_of("RSA", build, EVP_PKEY_KEYPAIR);
}

static EVP_PKEY *ec_key(void)
{
	/* The base point: the public key of the private key 1. */
	static const char x[] = "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296";
	static const char y[] = "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5";
	unsigned char point[65] = { 4 };
	BIGNUM *number = NULL;
	require(BN_hex2bn(&number, x) && BN_bn2binpad(number, point + 1, 32) == 32, "x");
	require(BN_hex2bn(&number, y) && BN_bn2binpad(number, point + 33, 32) == 32, "y");
	BN_set_word(number, 1);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
	OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, number);
	OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
	return key_of("EC", build, EVP_PKEY_KEYPAIR);
}

static void sign_or_verify(EVP_PKEY *key, int verifies, int is_repeatable, long count)
{
	static const unsigned char hash[32] = "what is signed, 32 bytes of it..";
	static unsigned char signature[1024];
	size_t size = sizeof signature;
	EVP_PKEY_CTX *signing = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	EVP_PKEY_CTX *verifying = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	require(EVP_PKEY_sign_init(signing) > 0 && EVP_PKEY_CTX_set_signature_md(signing, EVP_sha256()) > 0, "sign_init");
	require(EVP_PKEY_verify_init(verifying) > 0 && EVP_PKEY_CTX_set_signature_md(verifying, EVP_sha256()) > 0, "verify_init");
	if (!verifies) begin();
	for (long left = verifies ? 1 : count; left--;) {
		size = sizeof signature;
		require(EVP_PKEY_sign(signing, signature, &size, hash, sizeof hash) > 0, "sign");
	}
	if (!verifies) end();
	if (verifies) begin();
	for (long left = verifies ? count : 1; left--;)
		require(EVP_PKEY_verify(verifying, signature, size, hash, sizeof hash) > 0, "verify");
	if (verifies) end();
	if (is_repeatable) show(signature, size);
	else printf("verified\n");
}

/* Each secret is the other side's next private key. */
static void exchange(long count)
{
	unsigned char secret[32] = "a private key of 32 bytes, or so";
	unsigned char base[32] = { 9 };
	size_t size = sizeof secret;
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, base, sizeof base);
	begin();
	while (count--) {
		EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, sizeof secret);
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
		require(context && EVP_PKEY_derive_init(context) > 0 && EVP_PKEY_derive_set_peer(context, peer) > 0 &&
				EVP_PKEY_derive(context, secret, &size) > 0,
			"X25519");
		EVP_PKEY_CTX_free(context);
		EVP_PKEY_free(own);
	}
	end();
	show(secret, size);
}

#ifdef WITH_ASSEMBLY
#define COUNT(plain, quicker) (quicker)
#else
#define COUNT(plain, quicker) (plain)
#endif

static const struct {
	const char *name;
	enum { ENCRYPT, DECRYPT, DIGEST, SIGN, VERIFY, EXCHANGE } kind;
	int count;
	const char *algorithm;
} operations[] = {
	{ "AES-128-CBC", ENCRYPT, COUNT(1000, 6000), "AES-128-CBC" },
	{ "AES-128-CBC-decrypt", DECRYPT, COUNT(1000, 25000), "AES-128-CBC" },
	{ "AES-256-GCM", ENCRYPT, COUNT(500, 16000), "AES-256-GCM" },
	{ "ChaCha20-Poly1305", ENCRYPT, COUNT(2000, 12000), "ChaCha20-Poly1305" },
	{ "SHA1", DIGEST, COUNT(3000, 10000), "SHA1" },
	{ "SHA256", DIGEST, COUNT(1500, 10000), "SHA256" },
	{ "SHA512", DIGEST, COUNT(2000, 4000), "SHA512" },
	{ "RSA-2048-sign", SIGN, COUNT(60, 160), "RSA" },
	{ "RSA-2048-verify", VERIFY, COUNT(2000, 5000), "RSA" },
	{ "ECDSA-P256-sign", SIGN, COUNT(300, 3500), "EC" },
	{ "ECDSA-P256-verify", VERIFY, COUNT(300, 1200), "EC" },
	{ "X25519", EXCHANGE, COUNT(1500, 3000), "X25519" },
};

static int wanted(const char *name, char **words)
{
	if (!*words) return 1;
	for (; *words; words++)
		if (!strcmp(*words, name)) return 1;
	return 0;
}

int main(int count, char **words)
{
	if (count < 2) return 2;
	if (!strcmp(words[1], "processor")) {
#ifdef WITH_ASSEMBLY
		extern unsigned OPENSSL_ia32cap_P[4];
		extern void OPENSSL_cpuid_setup(void);
		OPENSSL_cpuid_setup();
		printf("OPENSSL_ia32cap=0x%08x%08x:0x%08x%08x\n", OPENSSL_ia32cap_P[1], OPENSSL_ia32cap_P[0],
			OPENSSL_ia32cap_P[3], OPENSSL_ia32cap_P[2]);
#else
		printf("none\n");
#endif
		return 0;
	}
	long scale = atol(words[1]);
	for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
		const char *algorithm = operations[i].algorithm;
		int kind = operations[i].kind, is_rsa = !strcmp(algorithm, "RSA");
		long times = scale * operations[i].count;
		operation = operations[i].name;
		if (!wanted(operation, words + 2)) continue;
		switch (kind) {
		case ENCRYPT:
		case DECRYPT: cipher(algorithm, kind == ENCRYPT, times); break;
		case DIGEST: digest(algorithm, times); break;
		case EXCHANGE: exchange(times); break;
		default: sign_or_verify(is_rsa ? rsa_key() : ec_key(), kind == VERIFY, is_rsa, times);
		}
		fflush(stdout);
	}
	return 0;
}
