TITLE submembrane calcium pool, linear removal

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma.

    cai' = f (-ica - rate cai)

mM, ms, mA/cm2. ica is the sum over the section's calcium mechanisms (can, cal), inward negative.
f turns current density into concentration change; rate is the removal, so calcium decays with the time
constant 1/(f rate): 12.5 ms at f 0.01, rate 8. The pool has no resting level: with no current cai goes to 0.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX capool
    USEION ca READ ica WRITE cai
    RANGE f, rate, cainit
}

UNITS {
    (mA) = (milliamp)
    (mM) = (milli/liter)
}

PARAMETER {
    f      = 0.01 (mM cm2/mA/ms)
    rate   = 8    (mA/cm2/mM)
    cainit = 1e-4 (mM)
}

ASSIGNED {
    ica (mA/cm2)
}

STATE { cai (mM) }

BREAKPOINT {
    SOLVE states METHOD cnexp
}

INITIAL {
    cai = cainit
}

DERIVATIVE states {
    cai' = f * (-ica - rate * cai)
}
