TITLE L-type calcium current, one gate, no inactivation

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma and dendrite.

    ica  = gbar m (v - eca)
    minf = 1 / (1 + exp(-(v - vm)/km)),  m' = (minf - m)/taum

mV, ms, mA/cm2, S/cm2. The defaults are the dendrite's; the soma's vm, km and taum differ, hence RANGE.
One mechanism serves both reversals: where capool is present NEURON keeps eca at the pool's Nernst potential;
where it is not (the dendrite), eca is an ordinary parameter of the section, which the model sets to 60 mV.
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX cal
    USEION ca READ eca WRITE ica
    RANGE gbar, i, vm, km, taum
    RANGE minf
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 1.6e-4 (S/cm2)
    vm   = -43    (mV)
    km   = 6      (mV)
    taum = 60     (ms)
}

ASSIGNED {
    v    (mV)
    eca  (mV)
    ica  (mA/cm2)
    i    (mA/cm2)
    minf
}

STATE { m }

BREAKPOINT {
    SOLVE states METHOD cnexp
    ica = gbar * m * (v - eca)
    i = ica
}

INITIAL {
    rates(v)
    m = minf
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m) / taum
}

PROCEDURE rates(v (mV)) {
    minf = 1 / (1 + exp(-(v - vm) / km))
}
