/* A driver's library with two cards, for machines without one: the second tells neither energy nor use.
   Built and loaded by test_nvidia.py in place of NVIDIA's own; the Python side (pynvml, the probe) is the real one. */
#include <stdlib.h>
#include <string.h>
typedef int card;
static card cards[2] = {0, 1};
static unsigned long long millijoules = 5000;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } rates;
typedef struct { unsigned int pid; unsigned long long used; unsigned int instance, compute; } process;
enum { OK = 0, NOT_SUPPORTED = 3, SMALL = 7, LOST = 15 };
int nvmlInitWithFlags(unsigned int flags) { return OK; }
int nvmlInit_v2(void) { return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) { return "an error"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, card **device) { *device = &cards[index]; return OK; }
int nvmlSystemGetDriverVersion(char *text, unsigned int length) { strncpy(text, "555.1", length); return OK; }
int nvmlDeviceGetName(card *device, char *text, unsigned int length) { strncpy(text, "Card", length); return OK; }
int nvmlDeviceGetTotalEnergyConsumption(card *device, unsigned long long *energy) {
    if (*device) return NOT_SUPPORTED;
    *energy = millijoules += 1500;
    return OK;
}
int nvmlDeviceGetUtilizationRates(card *device, rates *out) {
    if (*device) return LOST;
    out->gpu = 75;
    return OK;
}
int nvmlDeviceGetMemoryInfo(card *device, memory *out) {
    out->total = 8000000000ull;
    out->used = 3000000000ull;
    return OK;
}
int nvmlDeviceGetPowerUsage(card *device, unsigned int *milliwatts) { *milliwatts = 120500; return OK; }
int nvmlDeviceGetComputeRunningProcesses_v3(card *device, unsigned int *count, process *out) {
    if (*device) { *count = 0; return OK; }
    if (!out || *count < 2) { *count = 2; return SMALL; }
    *count = 2;
    memset(out, 0, 2 * sizeof *out);
    out[0].pid = (unsigned int)atoi(getenv("MODEL_PID"));
    out[0].used = 1000000000ull;
    out[1].pid = 1;
    out[1].used = 2000000000ull;
    return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(card *device, unsigned int *count, process *out) {
    *count = 0;
    return OK;
}
