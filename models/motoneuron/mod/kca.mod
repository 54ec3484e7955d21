TITLE calcium-activated potassium current, instantaneous in calcium

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma.

    i = gbar cai/(cai + kd) (v - e)

mV, mM, mA/cm2, S/cm2. There is no gate: the time course of the after-hyperpolarisation is the pool's.
The current is nonspecific because the source gives it its own reversal.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX kca
    USEION ca READ cai
    NONSPECIFIC_CURRENT i
    RANGE gbar, e, kd
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
    (mM) = (milli/liter)
}

PARAMETER {
    gbar = 0.02  (S/cm2)
    e    = -80   (mV)
    kd   = 0.0005 (mM)
}

ASSIGNED {
    v   (mV)
    cai (mM)
    i   (mA/cm2)
}

BREAKPOINT {
    i = gbar * cai / (cai + kd) * (v - e)
}
