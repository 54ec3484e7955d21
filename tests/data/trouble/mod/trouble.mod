: Whatever a real mechanism has been seen to do to its process, one kind a level; at level 0 a mechanism of no effect.

NEURON {
    SUFFIX trouble
    RANGE level
    NONSPECIFIC_CURRENT i
}

PARAMETER {
    level = 0 (1)
}

ASSIGNED {
    i (mA/cm2)
}

VERBATIM
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
ENDVERBATIM

BREAKPOINT {
    i = 0
    if (t > 20 && level > 0.5) {
VERBATIM
        switch ((int) (level + 0.5)) {
            case 1: *(volatile int*) 8 = 1; break;
            case 2: exit(3);
            case 3: for (;;) usleep(1000);
            case 4: for (;;) { memset(malloc(4000000), 1, 4000000); usleep(4000); }
            case 5: hoc_execerror("the mechanism gives up", 0);
            case 7: abort();
        }
ENDVERBATIM
        if (level > 5.5 && level < 6.5) {
            i = log(-1)
        }
    }
}
