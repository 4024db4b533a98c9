/* Four functions of the protocol in C, held against the reference through files.
 *
 *   ./conform cases
 *
 * reads cases/cases.txt, for each case the arrays in cases/inputs/<function>/<case>/, and writes what it computes to
 * cases/outputs/<function>/<case>/. A case of a function that is not here gets no file: it counts as not provided.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_AXES 8

typedef struct {
    int axes;
    long shape[MAX_AXES];
    double *data; /* in C order, whatever the file's type */
} Array;

static void fail(const char *what, const char *where) {
    fprintf(stderr, "conform: %s: %s\n", what, where);
    exit(1);
}

static long size_of(const Array *a) {
    long size = 1;
    for (int i = 0; i < a->axes; i++) size *= a->shape[i];
    return size;
}

static Array zeros(int axes, const long *shape) {
    Array a = {.axes = axes};
    memcpy(a.shape, shape, axes * sizeof *shape);
    a.data = calloc(size_of(&a) + 1, sizeof *a.data);
    if (!a.data) fail("out of memory", "");
    return a;
}

/* An .npy file: magic, two bytes of version, the header's length, a header such as
 * {'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }, then the entries.
 * Returns 0 if there is no such file: that is how the argument None comes. */
static int load(const char *folder, const char *name, Array *a) {
    char path[4096], header[65536];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    unsigned char head[10];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY\x01", 7)) fail("not .npy version 1", path);
    size_t length = head[8] + 256u * head[9];
    if (fread(header, 1, length, file) != length) fail("header cut short", path);
    header[length] = 0;
    if (!strstr(header, "'fortran_order': False")) fail("expected C order", path);

    long shape[MAX_AXES], axes = 0;
    for (char *at = strstr(header, "'shape': (") + 10, *end; axes < MAX_AXES; axes++) {
        shape[axes] = strtol(at, &end, 10);
        if (end == at) break;
        at = end + (*end == ',');
    }
    *a = zeros((int)axes, shape);

    long count = size_of(a);
    int is_double = strstr(header, "'<f8'") != NULL, is_int = strstr(header, "'<i8'") != NULL;
    if (!is_double && !is_int) fail("expected float64 or int64", path);
    for (long i = 0; i < count; i++) {
        int64_t integer;
        void *entry = is_double ? (void *)&a->data[i] : (void *)&integer;
        if (fread(entry, 8, 1, file) != 1) fail("entries cut short", path);
        if (is_int) a->data[i] = (double)integer;
    }
    fclose(file);
    return 1;
}

static void save(const char *folder, const char *name, const Array *a) {
    char path[4096], header[1024];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    int length = snprintf(header, sizeof header, "{'descr': '<f8', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < a->axes; i++) length += sprintf(header + length, "%ld,", a->shape[i]);
    length += sprintf(header + length, "), }");
    while ((10 + length + 1) % 64) header[length++] = ' ';
    header[length++] = '\n';
    FILE *file = fopen(path, "wb");
    if (!file) fail("cannot write", path);
    unsigned char size[2] = {length % 256, length / 256};
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fwrite(size, 1, 2, file);
    fwrite(header, 1, length, file);
    fwrite(a->data, sizeof *a->data, size_of(a), file);
    if (fclose(file)) fail("cannot write", path);
}

static Array need(const char *folder, const char *name) {
    Array a;
    if (!load(folder, name, &a)) fail(name, folder);
    return a;
}

/* An integer for both axes, or a list of one for each. */
static void pair(const char *folder, const char *name, long out[2]) {
    Array a = need(folder, name);
    out[0] = (long)a.data[0];
    out[1] = (long)a.data[size_of(&a) - 1];
    free(a.data);
}

/* y = max(x, 0); NaN stays NaN. */
static void relu_forward(const char *in, const char *out) {
    Array x = need(in, "x"), y = zeros(x.axes, x.shape);
    for (long i = 0; i < size_of(&x); i++) y.data[i] = x.data[i] > 0 || isnan(x.data[i]) ? x.data[i] : 0;
    save(out, "y", &y);
    free(x.data), free(y.data);
}

/* dx = dy where x > 0, else 0. */
static void relu_backward(const char *in, const char *out) {
    Array x = need(in, "x"), dy = need(in, "dy"), dx = zeros(x.axes, x.shape);
    for (long i = 0; i < size_of(&x); i++) dx.data[i] = x.data[i] > 0 ? dy.data[i] : 0;
    save(out, "dx", &dx);
    free(x.data), free(dy.data), free(dx.data);
}

/* y[n,o] = bias[o] + sum over i of weight[o,i] x[n,i]. */
static void linear_forward(const char *in, const char *out) {
    Array x = need(in, "x"), w = need(in, "weight"), b;
    int has_bias = load(in, "bias", &b);
    long N = x.shape[0], I = x.shape[1], O = w.shape[0];
    Array y = zeros(2, (long[]){N, O});
    for (long n = 0; n < N; n++)
        for (long o = 0; o < O; o++) {
            double sum = has_bias ? b.data[o] : 0;
            for (long i = 0; i < I; i++) sum += w.data[o * I + i] * x.data[n * I + i];
            y.data[n * O + o] = sum;
        }
    save(out, "y", &y);
    free(x.data), free(w.data), free(y.data);
    if (has_bias) free(b.data);
}

/* y[n,o,p,q] = bias[o] + sum over c,i,j of weight[o,c,i,j] x[n,c,p s + i d - pad,q s + j d - pad] within its group. */
static void conv2d_forward(const char *in, const char *out) {
    Array x = need(in, "x"), w = need(in, "weight"), b;
    int has_bias = load(in, "bias", &b);
    long s[2], pad[2], d[2], groups[2];
    pair(in, "stride", s), pair(in, "padding", pad), pair(in, "dilation", d), pair(in, "groups", groups);
    long N = x.shape[0], C = x.shape[1], H = x.shape[2], W = x.shape[3];
    long O = w.shape[0], G = w.shape[1], kh = w.shape[2], kw = w.shape[3];
    long P = (H + 2 * pad[0] - d[0] * (kh - 1) - 1) / s[0] + 1, Q = (W + 2 * pad[1] - d[1] * (kw - 1) - 1) / s[1] + 1;
    Array y = zeros(4, (long[]){N, O, P, Q});
    for (long n = 0; n < N; n++)
        for (long o = 0; o < O; o++)
            for (long p = 0; p < P; p++)
                for (long q = 0; q < Q; q++) {
                    double sum = has_bias ? b.data[o] : 0;
                    for (long g = 0; g < G; g++)
                        for (long i = 0; i < kh; i++)
                            for (long j = 0; j < kw; j++) {
                                long c = o / (O / groups[0]) * G + g;
                                long h = p * s[0] + i * d[0] - pad[0], v = q * s[1] + j * d[1] - pad[1];
                                if (h < 0 || h >= H || v < 0 || v >= W) continue;
                                sum += w.data[((o * G + g) * kh + i) * kw + j] * x.data[((n * C + c) * H + h) * W + v];
                            }
                    y.data[((n * O + o) * P + p) * Q + q] = sum;
                }
    save(out, "y", &y);
    free(x.data), free(w.data), free(y.data);
    if (has_bias) free(b.data);
}

static const struct {
    const char *name;
    void (*run)(const char *in, const char *out);
} FUNCTIONS[] = {
    {"relu_forward", relu_forward},
    {"relu_backward", relu_backward},
    {"linear_forward", linear_forward},
    {"conv2d_forward", conv2d_forward},
};

int main(int count, char **arguments) {
    if (count != 2) fail("usage", "./conform FOLDER, made by python -m sparcl_ref.verify --export FOLDER");
    char path[2048], line[512], in[2048], out[2048];
    snprintf(path, sizeof path, "%.1500s/cases.txt", arguments[1]);
    FILE *cases = fopen(path, "r");
    if (!cases) fail("cannot read", path);
    int done = 0;
    while (fgets(line, sizeof line, cases)) {
        line[strcspn(line, "\r\n")] = 0;
        size_t length = strcspn(line, "/");
        for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
            if (strlen(FUNCTIONS[i].name) != length || strncmp(line, FUNCTIONS[i].name, length)) continue;
            snprintf(in, sizeof in, "%.1500s/inputs/%s", arguments[1], line);
            snprintf(out, sizeof out, "%.1500s/outputs/%s", arguments[1], line);
            FUNCTIONS[i].run(in, out);
            done++;
        }
    }
    fclose(cases);
    printf("%d cases computed\n", done);
    return 0;
}
